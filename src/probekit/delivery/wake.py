"""How a process rings the leader: a byte into the FIFO ``<buffer>.wake``.

The leader sleeps in ``select`` on it. A FIFO without a reader says that nobody leads.
Where there are no FIFOs, or the buffer is in memory, an event inside the process does
the same for that process alone.
"""

import errno
import os
import queue
import select
import stat
from pathlib import Path
from typing import Protocol

from probekit.descriptor import Held, read_now, write_now

POLL_S = 0.2  # where nobody can ring from outside


class Bell(Protocol):
    """What the leader sleeps on."""

    def open(self) -> None:
        """Begin to listen."""

    def wait(self, timeout_s: float) -> bool:
        """Sleep until somebody rings; True when somebody did."""

    def ring(self) -> None:
        """Wake the listener in this process; any thread."""

    def close(self) -> None:
        """Listen no more."""


class EventBell:
    """A bell that is heard inside one process only.

    An ``Event`` is written in Python: the handler of a signal that raises between two
    of its lines would leave its lock taken, and the listener asleep for ever.
    """

    def __init__(self, *, longest_s: float = POLL_S) -> None:
        """Make it; *longest_s* bounds one sleep, seconds."""
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._longest_s = longest_s

    def open(self) -> None:
        """Nothing to open."""

    def wait(self, timeout_s: float) -> bool:
        """Sleep until somebody rings, at most the longest sleep."""
        try:
            self._rung.get(timeout=min(max(timeout_s, 0.0), self._longest_s))
        except queue.Empty:
            return False
        while not self._rung.empty():
            self._rung.get_nowait()
        return True

    def ring(self) -> None:
        """Wake the listener; any thread."""
        if self._rung.empty():  # nobody may be listening
            self._rung.put(None)

    def close(self) -> None:
        """Nothing to close."""


class FifoBell:
    """A bell that every process of the buffer can ring.

    Attributes:
        path: The FIFO; made 0600 at the first listening, never removed.
    """

    def __init__(self, path: Path) -> None:
        """Name the FIFO; nothing is opened yet."""
        self.path = path
        self._held: Held | None = None

    def open(self) -> None:
        """Begin to listen.

        Opened for reading and writing, so that it never sees an end of file.

        Raises:
            OSError: It cannot be made, or what lies there is no FIFO of ours.

        """
        if self._held is not None and self._held.is_ours():
            return
        make_fifo(self.path)
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags)
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EEXIST, "is no FIFO", str(self.path))
        self._held = Held.of(descriptor)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until somebody rings, and take all rings so far."""
        held = self._held
        if held is None:
            raise ValueError(f"the bell {self.path} is not open")
        if not held.is_ours():  # the host closed it: the number may be anybody's
            self.open()
            return True
        descriptor = held.number
        ready, _, _ = select.select([descriptor], [], [], max(timeout_s, 0.0))
        if not ready:
            return False
        try:
            while len(read_now(descriptor, 4096)) == 4096:  # noqa: PLR2004 - its own size
                continue
        except BlockingIOError:
            return True
        return True

    def ring(self) -> None:
        """Wake the listener in this process; any thread."""
        held = self._held
        if held is not None and held.is_ours():
            try:
                write_now(held.number, b"!")
            except OSError:  # full: the listener has enough to hear
                return

    def close(self) -> None:
        """Listen no more; also in a forked child, whose copy would hide our absence."""
        held, self._held = self._held, None
        if held is not None:
            try:
                held.close()
            except OSError:  # the host closes all descriptors just now
                return


def make_fifo(path: Path) -> None:
    """Make a FIFO for our eyes only, under any umask; one that exists stays.

    Raises:
        OSError: It cannot be made.

    """
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        return
    path.chmod(0o600)


def ring(path: Path) -> bool:
    """Ring the leader of a buffer, wherever it lives; takes about 30 µs.

    Args:
        path: The FIFO ``<buffer>.wake``.

    Returns:
        True when somebody listens; False when nobody leads.

    Threads:
        Any; never blocks.

    """
    descriptor = _open_for_ringing(path)
    if descriptor is None:
        return False
    try:
        write_now(descriptor, b"!")
    except BlockingIOError:  # full of rings
        return True
    except OSError:  # the reader left just now
        return False
    finally:
        os.close(descriptor)
    return True


def is_heard(path: Path) -> bool:
    """Whether somebody listens at *path*, without ringing."""
    descriptor = _open_for_ringing(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def _open_for_ringing(path: Path) -> "int | None":
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags)
    except OSError:  # ENXIO: no reader; ENOENT: there never was one
        return None
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def can_ring() -> bool:
    """Whether this system has FIFOs that ``select`` can sleep on."""
    return hasattr(os, "mkfifo")
