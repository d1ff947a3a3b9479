"""What changes how probekit runs: one change at a time, and each one is made.

An application ends probekit from a signal's handler too, or configures it anew there,
and the signal may come in the midst of another change. It cannot wait for that one,
which goes on only when the handler has returned.
"""

import os
from collections.abc import Callable
from threading import TIMEOUT_MAX
from typing import TypeVar

from probekit.alone import Alone
from probekit.notice import notice

T = TypeVar("T")


class Turns:
    """Makes changes one after another; what comes in the midst of one, after it.

    Threads:
        Any; handlers of signals and finalisers too.
    """

    def __init__(self) -> None:
        """Nothing is under way."""
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._alone = Alone()
        self._left: list[Callable[[], object]] = []

    def take(self, change: "Callable[[], T]", *, wait_s: float = -1) -> "T | None":
        """Make *change*, now or after the one that this thread is in the midst of.

        Args:
            change: What to do. What it raises is raised here, or told in the log where
                it is done later.
            wait_s: Longest wait for another thread's change, seconds; -1 for no limit.

        Returns:
            What it returns; None when it is not made: yet, for this thread's own other
            change goes on with it; or at all, for another thread's takes too long.

        """
        if self._pid != os.getpid():  # the parent's lock may be held for ever
            self._begin()
        alone = self._alone
        made = alone.run(lambda: self._make(change), wait_s=min(wait_s, TIMEOUT_MAX))
        if made is None and alone.is_inside():
            self._left.append(change)
            return None
        # A handler may have come after the last look, and before the door was open.
        while self._left:
            if not alone.run(self._make_rest):
                break  # another thread is inside, and makes them too
        return made[0] if made else None

    def _make(self, change: "Callable[[], T]") -> "tuple[T]":
        try:
            return (change(),)
        finally:
            self._make_rest()

    def _make_rest(self) -> bool:
        while self._left:
            change = self._left.pop(0)
            try:
                change()
            except Exception as error:
                notice("later", "what a signal's handler asked for was not done", error)
        return True
