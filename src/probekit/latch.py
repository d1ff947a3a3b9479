"""A door that opens once, and that no signal's handler can jam.

``Event`` is written in Python: where the application's handler raises in its midst, its
lock stays taken, and who wants to open the door or to look waits for ever.
"""

from threading import Lock


class Latch:
    """Shut until somebody opens it, then open for good.

    Attributes:
        is_open: Whether it has been opened.

    Threads:
        Any; opened by one.
    """

    __slots__ = ("_lock", "is_open")

    def __init__(self) -> None:
        """Shut."""
        self.is_open = False
        self._lock = Lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let all through who wait, and who come later."""
        if not self.is_open:
            self.is_open = True
            self._lock.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait at most *timeout_s* seconds; say whether it is open."""
        if not self.is_open and self._lock.acquire(timeout=timeout_s):
            self._lock.release()  # to the next; who is cut here costs those their time
        return self.is_open
