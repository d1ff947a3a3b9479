"""One thread at a time, and nobody twice: also when a signal comes at any line.

Python takes signals after each call, so between ``lock.acquire()`` and the ``try`` that
lets go of the lock as well. What the application's handler raises there would leave the
lock taken for ever.
"""

import sys
from collections.abc import Callable
from threading import RLock

from probekit.hints import TypeVar

T = TypeVar("T")


class Alone:
    """Lets one thread in at a time, and not again while it is inside.

    Threads:
        Any; handlers of signals and finalisers too, which are refused if they came in
        the midst. In a forked child make a new one.
    """

    __slots__ = ("_busy", "_lock")

    def __init__(self) -> None:
        """Nobody is inside."""
        # Re-entrant, so that a handler meets the flag and not itself.
        self._lock = RLock()
        self._busy = False

    def run(self, work: "Callable[[], T]", *, wait_s: float = 0.0) -> "T | None":
        """Do *work* inside, and return what it returns.

        Args:
            work: What to do; may raise.
            wait_s: Longest wait for another thread, seconds; -1 for no limit.

        Returns:
            None when this thread is inside already, or another one is for too long:
            then nothing was done.

        """
        # Let go of in the frame that took it, without a call of a function of ours: at
        # the end of a stack such a call fails, and the lock would stay.
        lock = self._lock
        try:
            if not lock.acquire(wait_s != 0, wait_s or -1):
                return None
            if self._busy and self.is_inside():
                return None
            try:
                self._busy = True
                return work()
            finally:
                self._busy = False
        finally:
            try:  # noqa: SIM105 - suppress() is a call, which a signal may cut
                lock.release()
            except RuntimeError:  # another thread has it
                pass

    def is_inside(self) -> bool:
        """Whether this thread, some frames up, is inside already.

        The flag alone may be left behind by an interrupt in the line that clears it.
        """
        frame = sys._getframe(1).f_back  # noqa: SLF001 - the caller's caller
        while frame is not None:
            if frame.f_code is _RUN and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        return False


_RUN = Alone.run.__code__
