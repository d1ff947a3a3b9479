"""Rows D: the disk is full, fails, lies, is read-only, or its files are taken away."""

import errno
import os
import shutil
import sqlite3
import stat
import subprocess

import pytest
from faultshim import HALF, under

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

LONG = os.environ.get("PROBEKIT_FAULTS") == "long"

STEADY = """
configure()
operation(0)
assert probekit.flush(20)
open(os.environ["FAULTIO_ARMED"], "w").close()
for n in range(1, 400):
    operation(n, durable=n % 40 == 0)
    time.sleep(0.002)
say(wait_for(lambda: probekit.flush(2), 20))
"""


@pytest.mark.row("D1")
def test_a_full_disk_loses_nothing_that_fits_into_memory(scene, ledger):
    """D1: the segments cannot grow; when there is room again, all is written."""
    ledger.start()
    small = scene.mount()
    said = scene.run(
        """
        import resource
        SMALL = sys.argv[5] == "True"
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        filler = os.path.join(os.path.dirname(BUFFER), "filler")
        def fill():
            if not SMALL:
                return resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
            with open(filler, "wb", buffering=0) as file:
                for size in (4096, 1):
                    try:
                        while True:
                            file.write(b"x" * size)
                    except OSError:
                        pass
        def clear():
            if SMALL:
                os.unlink(filler)
            else:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        configure()
        for n in range(100):
            operation(n)
        assert probekit.flush(20)
        fill()
        for n in range(100, 400):
            operation(n, durable=n % 20 == 0)
            time.sleep(0.005)
        say(probekit.flush(0.5))
        clear()
        operation(400)
        say(wait_for(lambda: probekit.flush(2), 30))
        """,
        small,
    )

    assert said == ["False", "True"]
    scene.expect_all("w0")
    assert 0 == scene.lost("events") == scene.lost("metrics")


def failing(scene, shim, do, **where):
    """A program under the shim; what it said, and who it was."""
    armed = scene.folder / "armed"
    armed.unlink(missing_ok=True)
    environment = under(shim, do, armed=armed, **where)
    process = scene.start(STEADY, environment=environment)
    return scene.finish(process), process.who


@pytest.mark.row("D2")
@pytest.mark.parametrize("calls", ["w", "p", "st"])
@pytest.mark.parametrize("do", [errno.EIO, errno.ENOSPC, HALF])
def test_a_call_that_fails_once_loses_nothing(scene, shim, rng, *, do, calls, measured):
    """D2: whichever call it is, the process goes on and all arrives once."""
    if do == HALF and calls == "st":
        do = errno.EINTR  # half of an fsync is none
    scene.ledger.start()
    few = {"w": 12, "p": 40, "st": 4}[calls]
    moments = range(1, few) if LONG else [rng.randrange(1, few)]
    for at in moments:
        said, who = failing(scene, shim, do, calls=calls, at=at)
        assert said == ["True"], f"call {at}"
        scene.expect_all(who)
    assert 0 == scene.lost("events") == scene.lost("metrics")
    with sqlite3.connect(scene.buffer) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    name = {"w": "write", "p": "pwrite", "st": "fsync, ftruncate"}[calls]
    how = "half of it" if do == HALF else errno.errorcode[do]
    measured(f"{name} → {how} at {len(moments)} call numbers: lost 0, twice 0")


@pytest.mark.row("D2")
@pytest.mark.parametrize("do", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_for_a_while_loses_nothing(scene, ledger, shim, rng, do):
    """D2: ten calls in a row fail, on segments and buffer alike."""
    ledger.start()
    said, who = failing(scene, shim, do, at=rng.randrange(1, 30), times=10)

    assert said == ["True"] or scene.deliver()
    scene.expect_all(who)
    assert 0 == scene.lost("events") == scene.lost("metrics")


@pytest.mark.row("D2")
def test_a_disk_that_fails_at_the_start_costs_nothing(scene, ledger, shim, rng):
    """D2: what cannot be opened is tried again, by the same process, into the file."""
    ledger.start()
    for at, times in [(rng.randrange(1, 40), 1), (rng.randrange(1, 20), 6)]:
        process = scene.start(
            """
            configure()
            for n in range(100):
                operation(n, durable=n % 10 == 0)
            say(wait_for(lambda: probekit.flush(2), 20), probekit.status().memory_only)
            check_books()
            """,
            environment=under(shim, errno.EIO, at=at, times=times, calls="p"),
        )
        assert scene.finish(process) == ["True False"], f"call {at}"
        scene.expect_all(process.who)
    assert 0 == scene.lost("events") == scene.lost("metrics")


IN_MEMORY = """
import logging
logging.basicConfig()
configure()
for n in range(100):
    operation(n, durable=n % 10 == 0)
say(probekit.flush(20), probekit.status().memory_only)
check_books()
"""


@pytest.mark.row("D4")
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_what_is_no_file_is_neither_followed_nor_touched(scene, ledger, kind):
    """D4: a planted link, pipe or folder in the buffer's place; memory takes over."""
    scene.books_expected = False  # there is no buffer on disk
    ledger.start()
    scene.state.mkdir(mode=0o700)
    victim = scene.folder / "victim"
    if kind != "dangling link":
        victim.write_bytes(b"precious")
    if kind.endswith("link"):
        scene.buffer.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(scene.buffer)
    else:
        scene.buffer.mkdir()
    before = stat.S_IFMT(scene.buffer.lstat().st_mode)

    assert scene.run(IN_MEMORY) == ["True True"]
    scene.expect_all("w0")
    assert before == stat.S_IFMT(scene.buffer.lstat().st_mode)
    assert (kind != "dangling link") == victim.exists()
    assert not victim.exists() or victim.read_bytes() == b"precious"
    assert 1 == sum(str(scene.buffer) in line for line in scene.spoken)


@pytest.mark.row("D4")
def test_a_file_system_that_is_read_only_leaves_recording_in_memory(scene, ledger):
    """D4: one warning; delivery goes on."""
    scene.books_expected = False
    ledger.start()
    if scene.mount():
        subprocess.run(["mount", "-o", "remount,ro", str(scene.state)], check=True)
    else:
        scene.state.mkdir()
        scene.state.chmod(0o500)

    assert scene.run(IN_MEMORY) == ["True True"]
    scene.expect_all("w0")
    assert 1 == sum(str(scene.buffer) in line for line in scene.spoken)


BACK = """
import logging
logging.basicConfig()
from probekit.runtime import homecoming
homecoming.LOOK_S = homecoming.LOOK_S if os.environ.get("LONG") else 0.1
configure()
gauge = probekit.up_down_counter("busy")
gauge.add(5)
for n in range(150):
    operation(n, durable=n % 10 == 0)
    if n == 50:
        gauge.add(2)
        probekit.flush(0.6)
say(probekit.status().memory_only)
for n in range(150, 100_000):
    operation(n, durable=n % 10 == 0)
    time.sleep(0.002)
    if not probekit.status().memory_only:
        break
say(probekit.status().memory_only)
for n in range(n + 1, n + 100):
    operation(n, durable=n % 10 == 0)
gauge.add(-7)
"""


@pytest.mark.row("D4")
@pytest.mark.parametrize("kind", ["link", "foreign", "folder", "read-only"])
def test_a_path_that_can_be_used_again_is_used(scene, ledger, rng, kind):
    """D4: what memory holds goes into the file, once; told in one line each time."""
    is_up = rng.random() < 0.5
    if is_up:
        ledger.start()
    mounted = kind == "read-only" and scene.mount()
    scene.state.mkdir(mode=0o700, exist_ok=True)
    remount = ["mount", "-o", "remount,ro", str(scene.state)]
    if kind == "link":
        scene.buffer.symlink_to(scene.folder / "nowhere")
    elif kind == "foreign":
        with sqlite3.connect(scene.buffer) as connection:
            connection.execute("CREATE TABLE precious (x)")
        connection.close()
    elif kind == "folder":
        scene.buffer.mkdir()
    elif mounted:
        subprocess.run(remount, check=True)
    else:
        scene.state.chmod(0o500)
    process = scene.start(
        BACK + ("assert probekit.flush(20)\ncheck_books()" if is_up else ""),
        environment={"LONG": "1"} if LONG else {},
    )
    assert process.stdout.readline() == "» True\n"
    if kind == "folder":
        scene.buffer.rmdir()
    elif kind != "read-only":
        scene.buffer.rename(scene.folder / "elsewhere")
    elif mounted:
        subprocess.run([*remount[:2], "remount,rw", remount[-1]], check=True)
    else:
        scene.state.chmod(0o700)

    assert scene.finish(process) == ["False"]
    assert 2 == sum(str(scene.buffer) in line for line in scene.spoken)
    if not is_up:
        ledger.start()
    assert scene.deliver()
    scene.expect_all(process.who)
    assert 0 == scene.lost("events") == scene.lost("metrics")
    with sqlite3.connect(scene.buffer) as connection:
        total = "SELECT sum FROM series WHERE name = 'busy'"
        assert [(0.0,)] == connection.execute(total).fetchall()
    connection.close()


@pytest.mark.row("D4", "D6")
def test_a_folder_that_is_missing_is_made_and_made_again(scene, ledger):
    """D4, D6: all of the buffer is deleted while it is in use."""
    ledger.start()
    process = scene.start(
        """
        configure()
        for n in range(100):
            operation(n)
        say(probekit.flush(20))
        assert wait_for(lambda: not os.path.exists(os.path.dirname(BUFFER)))
        for n in range(100, 300):
            operation(n)
            time.sleep(0.005)
        say(wait_for(lambda: probekit.flush(2), 20))
        """
    )
    assert process.stdout.readline() == "» True\n"
    scene.state.rename(scene.folder / "elsewhere")  # in one step: files come and go
    shutil.rmtree(scene.folder / "elsewhere")

    assert scene.finish(process) == ["True"]
    scene.expect_all(process.who)


@pytest.mark.row("D6")
@pytest.mark.parametrize("how", ["deleted", "renamed"])
def test_a_buffer_that_goes_away_is_noticed_and_made_anew(scene, ledger, how):
    """D6: nothing goes on into a file that nobody can find any more."""
    ledger.start()
    process = scene.start(
        """
        configure()
        for n in range(200):
            operation(n)
        say(probekit.flush(20))
        assert wait_for(lambda: not os.path.exists(BUFFER))
        for n in range(200, 500):
            operation(n, durable=n % 30 == 0)
            time.sleep(0.002)
        say(wait_for(lambda: probekit.flush(2), 20))
        """
    )
    assert process.stdout.readline() == "» True\n"
    # The log first: SQLite looks at the main file to see what became of the others.
    for end in ("-wal", "-shm", ""):
        path = scene.buffer.with_name(scene.buffer.name + end)
        if path.exists():
            if how == "deleted":
                path.unlink()
            else:
                path.rename(scene.folder / f"elsewhere{end}")

    assert scene.finish(process) == ["True"]
    scene.expect_all(process.who)
    assert scene.buffer.exists()


@pytest.mark.row("D9")
def test_a_buffer_at_its_cap_gives_up_the_oldest_and_counts_it(scene, ledger, measured):
    """D9: never larger than the cap and 4 MiB; what is missing is what is booked."""
    said = scene.run(
        """
        configure(retention={"max_bytes": 1 << 20})
        import random
        largest = 0
        for n in range(6_000):
            operation(n, pad=random.randbytes(200).hex())
            if n % 100 == 99:
                time.sleep(0.04)
                sizes = (os.path.getsize(BUFFER + end) for end in ("", "-wal")
                         if os.path.exists(BUFFER + end))
                largest = max(largest, sum(sizes))
        say(largest)
        """,
        timeout_s=50,
    )
    assert int(said[0]) <= (1 << 20) + (4 << 20)
    ledger.start()

    assert scene.deliver()
    dropped = scene.lost("events")
    arrived = ledger.ids("plain", "w0")
    assert 0 < dropped
    assert 6_000 - dropped == len(arrived)
    assert set(range(6_000 - len(arrived), 6_000)) == arrived  # the newest are kept
    counted = sum(scene.blocks("w0").values())
    assert 6_000 - scene.lost("metrics") == counted
    measured(
        f"cap 1 MiB: never above {int(said[0]) / (1 << 20):.1f} MiB with its log; "
        f"{dropped:,} of 6,000 given up and all of them booked"
    )
