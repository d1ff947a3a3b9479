"""In a process of green threads, a signal's handler may run in a thread of ours."""

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
PATCHES = {
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "gevent": "from gevent import monkey; monkey.patch_all()",
}


def run(library, act):
    needs.libraries(library)
    program = PROGRAM.format(patch=PATCHES[library], act=act)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout.split()


@pytest.mark.parametrize("library", PATCHES)
def test_a_handler_that_ends_the_process_ends_it(library):
    """It is the application's to end, not a thread's that happened to run."""
    assert (7, ["False"]) == run(library, "sys.exit(7)")


@pytest.mark.parametrize("library", PATCHES)
def test_an_interruption_arrives_where_the_application_waits(library):
    assert (1, ["interrupted", "False"]) == run(library, "raise KeyboardInterrupt")
