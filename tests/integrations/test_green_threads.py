"""In a process of green threads, which share the main thread with those of ours."""

import subprocess
import sys

import pytest

import needs

pytestmark = [pytest.mark.backend, pytest.mark.row("P11")]

PROGRAM = """
import warnings
warnings.simplefilter("ignore")
{patch}
import os, signal, sys, time
from probekit.thread import Thread

def stop(*_):
    {act}

def serve():
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        time.sleep(0)

signal.signal(signal.SIGTERM, stop)
thread = Thread(serve, "probekit-test")
try:
    thread.start()
    time.sleep(20)
except KeyboardInterrupt:
    print("interrupted")
finally:
    print(thread.is_alive())
sys.exit(1)
"""
RINGING = """
import warnings
warnings.simplefilter("ignore")
{patch}
import _thread, sys, threading
from pathlib import Path
from probekit.delivery.wake import FifoBell, ring

def leave():
    bell.close()
    left.set()

left, bell = threading.Event(), FifoBell(Path(sys.argv[1]))
bell.open()
_thread.start_new_thread(leave, ())
assert ring(bell.path)
bell.ring()
print(left.is_set())
print(left.wait(20))
"""
PATCHES = {
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "gevent": "from gevent import monkey; monkey.patch_all()",
}


def run(program, library, *words, **acts):
    needs.libraries(library)
    program = program.format(patch=PATCHES[library], **acts)
    ended = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout.split("\n")[:-1]


@pytest.mark.parametrize("library", PATCHES)
def test_a_handler_that_ends_the_process_ends_it(library):
    """It is the application's to end, not a thread's that happened to run."""
    assert (7, ["False"]) == run(PROGRAM, library, act="sys.exit(7)")


@pytest.mark.parametrize("library", PATCHES)
def test_an_interruption_arrives_where_the_application_waits(library):
    assert (1, ["interrupted", "False"]) == run(
        PROGRAM, library, act="raise KeyboardInterrupt"
    )


@pytest.mark.parametrize("library", PATCHES)
def test_to_ring_the_leader_lets_nobody_else_run(library, tmp_path):
    """The leader that ends closes the bell: nothing would wake who waits to ring it."""
    told = ["False", "True"]
    assert (0, told) == run(RINGING, library, str(tmp_path / "buffer.wake"))
