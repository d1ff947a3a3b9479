"""Ports of loopback that stay a test's own, also while nobody listens there."""

import contextlib
import fcntl
import random
import socket
import tempfile
from pathlib import Path

_DRAWN = random.SystemRandom()  # not the one that the tests' seed sets
_CLAIMS = Path(tempfile.gettempdir()) / "probekit-test-ports"
_HELD = []


def free_ports(count):
    """Ports that nobody uses, over TCP and UDP; no two calls of any process share one.

    Below those that the system gives to clients: while a server is away, none of its
    clients may be given its port, or reach itself there.
    """
    _CLAIMS.mkdir(exist_ok=True)
    found = []
    while len(found) < count:
        port = _DRAWN.randrange(15_000, 32_000)
        with contextlib.ExitStack() as tried, contextlib.suppress(OSError):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                held = tried.enter_context(socket.socket(socket.AF_INET, kind))
                held.bind(("127.0.0.1", port))
            claim = (_CLAIMS / str(port)).open("w")
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                claim.close()
                raise
            _HELD.append(claim)  # until this process ends
            found.append(port)
    return found


def free_port():
    """One such port."""
    return free_ports(1)[0]
