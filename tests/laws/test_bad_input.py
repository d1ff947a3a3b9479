"""Bad input gets one clear message, and the application runs on."""

import os
import stat

import pytest

pytestmark = pytest.mark.e2e

RUNS_ON = """
import logging, sys
logging.basicConfig(format="%(name)s %(message)s")
import probekit
probekit.configure("shop", buffer=sys.argv[1], interval_s=0.5)

@probekit.probe
def work():
    return 41

for _ in range(100):
    assert work() == 41
probekit.event("order.paid", durable=True)
probekit.flush(timeout_s=2)
print("runs on")
"""


def told(program):
    """The lines that probekit wrote to its logger."""
    return [line for line in program.err.splitlines() if line.startswith("probekit ")]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("exporters=['otpl://h:1']", ["otpl", "otlp"]),
        ("exporters=['tcp://user:geheim@h:99999']", ["99999"]),
        ("interval_s=0.1", ["interval_s", "0.1", "0.5"]),
        ("interval_s='x'", ["interval_s", "x"]),
        ("shipper='fork'", ["shipper", "fork", "external"]),
        ("exporters=['otlp://h:1?nonsense=1']", ["nonsense"]),
        ("flush_interval_s=-1", ["flush_interval_s", "-1"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(program, arguments, words):
    """ConfigError says which setting, which value, which rule; never a password."""
    out = program.run(
        f"""
        import probekit
        try:
            probekit.configure("shop", buffer=":memory:", {arguments})
        except probekit.ConfigError as error:
            print(error)
        """,
    )

    assert len(out.splitlines()) == 1
    assert all(word in out for word in words)
    assert "geheim" not in out


def test_a_file_of_somebody_else_is_left_alone(program):
    """A text file given as buffer stays as it is; recording goes on in memory."""
    program.buffer.parent.mkdir(parents=True)
    program.buffer.write_text("precious\n" * 1000)
    out = program.run(RUNS_ON)

    assert out.split() == ["runs", "on"]
    assert program.buffer.read_text() == "precious\n" * 1000
    assert len(told(program)) == 1
    assert str(program.buffer) in told(program)[0]


def test_a_database_of_somebody_else_is_left_alone(program):
    """A SQLite file that is not a buffer is not touched either."""
    import sqlite3

    program.buffer.parent.mkdir(parents=True)
    connection = sqlite3.connect(program.buffer)
    connection.execute("CREATE TABLE customer (name TEXT)")
    connection.commit()
    connection.close()
    before = program.buffer.read_bytes()
    out = program.run(RUNS_ON)

    assert out.split() == ["runs", "on"]
    assert before == program.buffer.read_bytes()
    assert len(told(program)) == 1


def test_a_damaged_buffer_is_set_aside_and_a_new_one_made(program):
    """The file is renamed, not deleted, and the new one works."""
    program.run(RUNS_ON)
    size = program.buffer.stat().st_size
    with program.buffer.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(size - 100))
    for leftover in program.buffer.parent.glob("buffer.db-*"):
        leftover.unlink()
    out = program.run(RUNS_ON)

    assert out.split() == ["runs", "on"]
    assert list(program.buffer.parent.glob("*.corrupt-*"))
    assert program.sql("SELECT count(*) FROM event") == [(1,)]


@pytest.mark.parametrize("path", ["/proc/nowhere/buffer.db", "/dev/null/buffer.db"])
def test_a_path_that_cannot_be_written_leaves_recording_in_memory(program, path):
    """One message names the path; the application does not notice."""
    from pathlib import Path

    program.buffer = Path(path)
    out = program.run(RUNS_ON)

    assert out.split() == ["runs", "on"]
    assert len(told(program)) == 1
    assert path in told(program)[0]


def test_files_are_for_their_owner_alone_under_any_umask(program):
    """0600 in 0700, and the umask of the host stays as it was."""
    program.run(
        "import os; os.umask(0)\n" + RUNS_ON + "\nassert os.umask(0) == 0\n",
    )
    folder = program.buffer.parent
    modes = {
        path: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]
    }

    assert all(
        mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items()
    ), modes


def test_disable_makes_decorators_return_the_function_itself(program):
    """The kill switch costs nothing and starts nothing."""
    out = program.run(
        """
        import sys, threading, probekit
        def f(): pass
        assert probekit.probe(f) is f
        assert probekit.probe(name="x")(f) is f
        probekit.configure("shop", buffer=sys.argv[1], exporters=["udp://127.0.0.1:9"])
        probekit.count("a"); probekit.event("b", durable=True)
        assert probekit.flush() in (True, False)
        assert threading.active_count() == 1
        print("ok")
        """,
        PROBEKIT_DISABLE=1,
    )

    assert out.split() == ["ok"]
    assert not program.buffer.exists()
