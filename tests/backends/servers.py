"""Starts real servers for one test each: own port, own folder, stopped by their pid.

Where a server is not installed the test is skipped; where ``CI`` is set it fails, so
that nothing is believed to be tested that was not. ``tests/backends/install.sh``
installs them.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

SERVERS = Path(
    os.environ.get("PROBEKIT_SERVERS") or Path(__file__).parents[2] / "var" / "servers"
)
READY_WITHIN_S = 15.0


def needed(path):
    """*path* of something installed; without it the test cannot run."""
    if path is not None and Path(path).exists():
        return path
    reason = f"{path} is not installed: run tests/backends/install.sh"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
    return None


def command(name):
    """The program *name* from the path."""
    return needed(shutil.which(name) or Path(name))


def free_ports(count):
    """Ports of loopback that nobody uses, over TCP and UDP."""
    with contextlib.ExitStack() as held:
        found = []
        while len(found) < count:
            stream = held.enter_context(socket.socket())
            stream.bind(("127.0.0.1", 0))
            port = stream.getsockname()[1]
            datagrams = held.enter_context(
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            )
            with contextlib.suppress(OSError):
                datagrams.bind(("127.0.0.1", port))
                found.append(port)
    return found


def eventually(question, timeout_s=10.0):
    """The first true answer of *question*, or its last one when time is over."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        answer = question()
        if answer or time.monotonic() > deadline_s:
            return answer
        time.sleep(0.05)


@contextlib.contextmanager
def running(arguments, folder, port, **environment):
    """Run a server that listens on *port* over TCP; yields the path of its log."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(argument) for argument in arguments],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    try:
        wait_for_port(server, port, log)
        yield log
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(5)


def wait_for_port(server, port, log):
    """Wait until *server* listens; a port that somebody else answers does not count."""

    def listens():
        if server.poll() is not None:
            pytest.fail(f"{server.args[0]} ended: {log.read_text('utf-8', 'replace')}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        return False

    if not eventually(listens, READY_WITHIN_S):
        pytest.fail(f"{server.args[0]} does not listen on {port}")
