import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from probekit.buffer.status import Account, BufferStatus
from probekit.cli.checks.books import check_books
from probekit.cli.checks.clock import check_clock
from probekit.cli.checks.exporters import check_exporters
from probekit.cli.checks.files import check_files
from probekit.cli.checks.leader import check_leader, is_alive, is_locked
from probekit.cli.checks.sqlite import has_wal_reset_fault


def levels(findings):
    return {finding.level for finding in findings}


def only(findings, subject):
    return [each for each in findings if each.subject == subject]


def a_status(**given):
    return BufferStatus("x", "id", given.pop("accounts", {}), **given)


def test_a_sound_buffer_passes(probekit, buffer):
    """Every line is ok or warn, and the status is 0."""
    status, out, _ = probekit("doctor", "--buffer", buffer.path)

    assert 0 == status, out
    assert {"ok", "warn"} >= {line.split()[0] for line in out.splitlines()}
    for subject in ("settings", "SQLite", "buffer file", "modes", "pages", "leader",
                    "metrics", "exporter", "clock"):  # fmt: skip
        assert subject in out


def test_settings_are_shown_with_their_origin_and_without_secrets(
    probekit, buffer, monkeypatch, tmp_path
):
    """Where from, for each that somebody gave."""
    monkeypatch.setenv("PROBEKIT_INTERVAL_S", "2")
    (tmp_path / "probekit.toml").write_text(
        'exporters = ["udp://me:geheim@127.0.0.1:9"]\n'
    )
    _, out, _ = probekit("doctor", "--buffer", buffer.path)

    assert "interval_s = 2.0 (from PROBEKIT_INTERVAL_S)" in out
    assert f"udp://127.0.0.1:9 (from {tmp_path / 'probekit.toml'})" in out
    assert "geheim" not in out


def test_a_variable_that_nobody_reads_is_suspect(probekit, buffer, monkeypatch):
    """The nearest one is named; the launcher's are known."""
    monkeypatch.setenv("PROBEKIT_SERVCE", "shop")
    monkeypatch.setenv("PROBEKIT_LIBRARIES", "1")
    status, out, _ = probekit("doctor", "--buffer", buffer.path)

    assert 0 == status
    assert (
        "PROBEKIT_SERVCE is no variable of probekit; did you mean PROBEKIT_SERV" in out
    )
    assert "LIBRARIES" not in out


def test_json_holds_the_same_findings(probekit, buffer):
    """For machines that watch machines."""
    status, out, _ = probekit("doctor", "--json", "--buffer", buffer.path)

    assert 0 == status
    assert {"level", "subject", "text"} == set(json.loads(out)[0])


def test_a_wrong_setting_fails_and_the_rest_is_still_looked_at(
    probekit, buffer, monkeypatch
):
    """One fault does not hide another."""
    monkeypatch.setenv("PROBEKIT_SHIPPER", "fork")
    status, out, _ = probekit("doctor", "--buffer", buffer.path)

    assert 1 == status
    assert "shipper" in out
    assert "pages" in out


def test_a_damaged_file_fails(probekit, buffer):
    """Whatever SQLite says about it, in one line."""
    buffer.store.close()
    with buffer.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    status, out, _ = probekit("doctor", "--buffer", buffer.path)

    assert 1 == status
    assert "fail" in out


def test_a_missing_buffer_fails_only_when_it_was_asked_for(probekit, tmp_path):
    """A machine on which nothing was recorded yet is not ill."""
    assert 1 == probekit("doctor", "--buffer", tmp_path / "no.db")[0]
    assert 0 == probekit("doctor")[0]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_open_modes_and_symlinks_are_seen(buffer, tmp_path):
    """0600 in 0700; a link is what applications refuse."""
    assert "warn" not in levels(only(check_files(buffer.path), "modes"))
    buffer.path.chmod(0o644)
    (finding,) = only(check_files(buffer.path), "modes")

    assert "warn" == finding.level
    assert "0644" in finding.text
    link = tmp_path / "link.db"
    link.symlink_to(buffer.path)
    assert {"fail"} == levels(check_files(link))
    assert {"fail"} == levels(check_files(tmp_path))


def test_files_set_aside_are_mentioned(buffer):
    """Somebody may want to look at them, or to remove them."""
    Path(f"{buffer.path}.corrupt-20260101T000000").write_bytes(b"x")
    (finding,) = only(check_files(buffer.path), "set aside")

    assert "warn" == finding.level


@pytest.mark.parametrize(
    "version, faulty",
    [
        ((3, 6, 23), False),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_the_wal_reset_fault_is_known_by_version(version, faulty):
    """Fixed in 3.51.3, with two backports."""
    assert faulty == has_wal_reset_fault(version)


HOLD = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of the leader of ``tmp_path / "b.db"``."""
    if os.name != "posix":
        pytest.skip("locks are POSIX")
    lock = tmp_path / "b.db.leader"
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", HOLD, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert b"held\n" == process.stdout.readline()
    yield process
    process.communicate()


def test_a_lock_that_outlived_its_leader_fails(holder, tmp_path):
    """Held, and the leader is dead and silent: a forked child keeps it."""
    dead = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    dead.wait()
    status = a_status(leader_pid=dead.pid, leader_beat_age_s=99.0)
    (finding,) = check_leader(tmp_path / "b.db", status)

    assert "fail" == finding.level
    assert "fork" in finding.text


def test_a_leader_that_lives_is_well_and_one_that_is_silent_is_suspect(
    holder, tmp_path
):
    """By its heartbeat."""
    path = tmp_path / "b.db"
    well = a_status(leader_pid=holder.pid, leader_beat_age_s=1.0)
    silent = a_status(leader_pid=holder.pid, leader_beat_age_s=99.0)

    assert {"ok"} == levels(check_leader(path, well))
    assert {"warn"} == levels(check_leader(path, silent))


def test_data_that_waits_without_a_leader_is_suspect(tmp_path):
    """Nobody delivers it until somebody comes."""
    from probekit.buffer.status import ExporterStatus

    path = tmp_path / "b.db"
    Path(f"{path}.leader").touch()
    waiting = {"events": Account(recorded=5, stored=5)}
    exporters = (ExporterStatus("tcp://h:1"),)

    assert {"warn"} == levels(
        check_leader(path, a_status(accounts=waiting, exporters=exporters))
    )
    assert {"ok"} == levels(check_leader(path, a_status(exporters=exporters)))
    assert is_locked(Path(f"{path}.leader")) is False
    assert is_locked(tmp_path / "none") is None


def test_a_process_is_known_to_live():
    """Without touching it."""
    assert is_alive(os.getpid())
    assert not is_alive(0)


def test_books_that_do_not_balance_fail():
    """The first promise of all."""
    wrong = {"metrics": Account(recorded=5, delivered=1, stored=3)}
    right = {"metrics": Account(recorded=5, delivered=1, stored=4)}
    lossy = {"metrics": Account(recorded=5, stored=4, dropped={"full": 1})}

    assert {"fail"} == levels(check_books(a_status(accounts=wrong)))
    assert {"ok"} == levels(check_books(a_status(accounts=right)))
    assert {"warn"} == levels(check_books(a_status(accounts=lossy)))


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_exporters_are_really_connected_to(listener):
    """One that listens, one that does not."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        there, gone = check_exporters(
            [f"otlp://127.0.0.1:{listener}", f"tcp://me:geheim@127.0.0.1:{port}"]
        )

    assert "ok" == there.level
    assert "fail" == gone.level
    assert str(port) in gone.text
    assert "geheim" not in gone.text


@pytest.mark.parametrize(
    "spec, level",
    [
        ("otpl://h:1", "fail"),
        ("udp://127.0.0.1:9", "ok"),
        ("console:", "ok"),
        ("file:///nowhere/at/all.jsonl", "fail"),
    ],
)
def test_each_kind_of_exporter_is_judged_as_it_can_be(spec, level):
    """Datagrams by their address, files by their folder, unknown ones by name."""
    assert {level} == levels(check_exporters([spec]))


class Clock:
    """A clock whose two readings are what a test says."""

    def __init__(self, *wall_ns):
        self.wall = list(wall_ns)
        self.monotonic = 0.0

    def wall_ns(self):
        return self.wall.pop(0)

    def monotonic_s(self):
        self.monotonic += 0.05
        return self.monotonic


NOW = 1_790_000_000_000_000_000


@pytest.mark.parametrize(
    "readings, last_end_ns, level",
    [
        ((NOW, NOW + 50_000_000), NOW, "ok"),
        ((NOW, NOW + 50_000_000), 0, "ok"),
        ((NOW, NOW + 900_000_000), NOW, "warn"),
        ((NOW,), NOW + 3600 * 10**9, "fail"),
        ((0,), 0, "fail"),
    ],
)
def test_the_clock_is_compared_with_the_past_and_with_itself(
    readings, last_end_ns, level
):
    """1970, windows in the future, a jump while we look."""
    slept = []
    findings = list(check_clock(last_end_ns, Clock(*readings), slept.append))

    assert {level} == levels(findings)


def test_doctor_changes_nothing(probekit, buffer):
    """Not one byte, not one file."""
    buffer.store.close()
    before = {path: path.read_bytes() for path in buffer.path.parent.glob("buffer.db*")
              if path.is_file()}  # fmt: skip
    probekit("doctor", "--buffer", buffer.path)

    assert before == {
        path: path.read_bytes() for path in before if not path.name.endswith("-shm")
    }
    with sqlite3.connect(buffer.path) as connection:
        assert (1,) == connection.execute("SELECT count(*) FROM window").fetchone()
    connection.close()
