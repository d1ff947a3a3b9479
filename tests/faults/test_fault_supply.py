"""Row S3: importing does nothing, and what is optional may be missing or broken."""

import subprocess
import sys
import textwrap

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

AUDIT = """
import os, sys
seen = []

def hook(event, args):
    writes = event == "open" and isinstance(args[2], int) and args[2] & 0o1103
    if writes or event.split(".")[0] in {
        "socket", "subprocess", "sqlite3", "_thread", "shutil", "tempfile", "signal",
        "ftplib", "urllib", "ctypes",
    } or event in {"os.fork", "os.mkdir", "os.exec", "os.posix_spawn", "os.system",
                   "os.putenv", "os.chmod", "os.rename", "os.remove", "os.kill"}:
        seen.append((event, args[:1]))
"""


def run(program, *flags, cwd):
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=40, cwd=cwd, check=False,
    )  # fmt: skip
    assert "" == done.stderr
    assert 0 == done.returncode
    return done.stdout


@pytest.mark.row("S3")
@pytest.mark.parametrize("flags", [("-I", "-O", "-W", "error"), ("-S", "-E")])
def test_an_import_opens_starts_and_writes_nothing(flags, tmp_path):
    """As the interpreter's own audit sees it; decorating and counting neither."""
    import probekit

    root = probekit.__file__.rpartition("/probekit/")[0]
    out = run(
        f"""
        {textwrap.indent(AUDIT, " " * 8).strip()}
        sys.path.insert(0, {root!r})
        sys.dont_write_bytecode = True
        sys.addaudithook(hook)
        import probekit
        @probekit.probe
        def work(): return 1
        work()
        probekit.count("a", b="c")
        probekit.event("e")
        nothing = not seen
        open(os.devnull, "w").close()  # it does see
        print(nothing, len(seen))
        """,
        *flags,
        cwd=tmp_path,
    )

    assert "True 1" == out.strip()
    assert [] == list(tmp_path.iterdir())


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in NAMES:
            raise KIND("it is broken")

sys.meta_path.insert(0, Absent())
"""


@pytest.mark.row("S3")
@pytest.mark.parametrize("kind", ["ModuleNotFoundError", "RuntimeError"])
def test_without_anybody_elses_library_all_is_recorded_and_delivered(kind, tmp_path):
    """Missing, or broken so that its import raises something odd."""
    out = run(
        f"""
        NAMES = {{"psutil", "wrapt", "opentelemetry", "sqlite_utils", "click"}}
        KIND = {kind}
        {textwrap.indent(WITHOUT, " " * 8).strip()}
        import os, time, probekit
        sink = os.path.abspath("sink.jsonl")
        probekit.configure("shop", buffer="state/buffer.db", interval_s=0.5,
                           exporters=["file://" + sink])

        @probekit.probe
        def work(): return 1

        for n in range(10):
            work()
            probekit.event("order", {{"n": n}})
        end = time.monotonic() + 10  # the host and the process are read by then:
        while time.monotonic() < end and not (
                os.path.exists(sink) and "probekit.overhead" in open(sink).read()):
            time.sleep(0.02)
        print(probekit.flush(20), probekit.status().trouble)
        probekit.shutdown()
        """,
        cwd=tmp_path,
    )
    text = (tmp_path / "sink.jsonl").read_text()

    assert "True" == out.strip()
    assert "probekit.overhead.level" in text
    assert 10 == text.count('"order"')
    assert "probekit.function.duration" in text


@pytest.mark.row("S3")
def test_what_needs_a_missing_library_says_which_extra_brings_it(tmp_path):
    """One clear error, at the door."""
    out = run(
        f"""
        NAMES = {{"aiokafka"}}
        KIND = ModuleNotFoundError
        {textwrap.indent(WITHOUT, " " * 8).strip()}
        import probekit
        try:
            probekit.configure("s", buffer=":memory:",
                               exporters=["kafka://127.0.0.1:1/t"])
        except probekit.ConfigError as error:
            print(error)
        """,
        cwd=tmp_path,
    )

    assert "probekit[kafka]" in out
