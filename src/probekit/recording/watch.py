"""The watch: two pages that the kernel wipes at every fork.

Every recorded call compares a number it has anyway with what stands here, and that one
comparison covers four cases: nothing was started yet, this is the child of a fork
(raw forks included: the pages read zero), the pump hangs, a list has grown long.
Reading costs one index; nothing here locks or makes a system call after construction.
"""

import mmap
import os
from array import array
from collections.abc import Callable
from time import perf_counter

from probekit.hints import Any

_MADV_WIPEONFORK = 18  # linux/mman.h; Python names it from 3.13 on
LENGTH_LIMIT = 4096  # values a handle may hold before somebody must look at it
_ROOM, _NO_ROOM = bytes([1]) * LENGTH_LIMIT, bytes(LENGTH_LIMIT)


class Watch:
    """Says until when, and up to which length, recording needs nobody's attention.

    Attributes:
        deadline: One double without a dimension, which is read in half the time of
            one in a list: ``deadline[()]`` is a ``perf_counter()`` time in seconds
            before which a timed call has nothing to do but append.
        clear: One truth in the same way, the first of ``room``: what is only counted
            asks it.
        room: One byte for each length below ``LENGTH_LIMIT``: true if a list of values
            that long may take one more without a look. Calls that read no clock (a
            bound counter's) ask this: all are 0 when the watch was never set, was
            tripped or was wiped, so that the first value in a new process is noticed.
        survives_fork: Whether the pages could not be set to be wiped; the fork hook
            registered here trips them then, and a raw fork goes unseen.
        tells: Called at each :meth:`hold`, on its thread: for what does not look at
            the deadline each time. Must not raise.
    """

    __slots__ = (
        "_holds",
        "_rests_until_s",
        "_room",
        "clear",
        "deadline",
        "room",
        "survives_fork",
        "tells",
    )

    def __init__(self) -> None:
        """Take two pages of memory, and start tripped."""
        page, room = _wiped_page(mmap.PAGESIZE), _wiped_page(LENGTH_LIMIT)
        self.deadline: memoryview[float]
        self.room: mmap.mmap | bytearray
        self.survives_fork = page is None or room is None
        if page is None or room is None:
            self.deadline = _point(array("d", [0.0]), "d", 8)
            self.room = bytearray(LENGTH_LIMIT)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self.trip)
        else:
            self.deadline = _point(page, "d", 8)
            self.room = room
        self._room = memoryview(self.room)
        self.clear: memoryview[bool] = _point(self.room, "?", 1)
        self._rests_until_s = 0.0
        self._holds: list[None] = []
        self.tells: list[Callable[[], None]] = []

    def rest_until(self, perf_counter_s: float) -> None:
        """Say that nobody needs to look before *perf_counter_s*.

        Args:
            perf_counter_s: A moment on the clock of ``time.perf_counter``, seconds.

        """
        self._rests_until_s = perf_counter_s
        if not self._holds:
            self.deadline[()] = perf_counter_s
            self._room[:] = _ROOM
        if self._holds:  # somebody took hold between the check and the lines above
            self._wipe()

    def rest_for(self, seconds: float) -> None:
        """Say that nobody needs to look for *seconds* from now."""
        self.rest_until(perf_counter() + seconds)

    def trip(self) -> None:
        """Make the next recorded value of any thread ask for attention."""
        self._rests_until_s = 0.0
        self._wipe()

    def is_resting(self) -> bool:
        """Whether the moment set last has not come yet, held or not."""
        return perf_counter() <= self._rests_until_s

    def hold(self) -> None:
        """Make every value ask, until :meth:`release`; holds add up."""
        self._holds.append(None)
        self._wipe()
        for tell in self.tells:
            tell()

    def release(self) -> None:
        """Undo one hold; with the last one the watch rests as it was set."""
        if self._holds:
            self._holds.pop()
        if not self._holds and self._rests_until_s:
            self.rest_until(self._rests_until_s)

    @property
    def is_held(self) -> bool:
        """Whether anybody wants to be asked for every value."""
        return bool(self._holds)

    def _wipe(self) -> None:
        self._room[:] = _NO_ROOM
        self.deadline[()] = 0.0


def _point(page: Any, kind: str, size_bytes: int) -> "memoryview[Any]":
    """The first item of *page*, of a struct's *kind*, alone."""
    return memoryview(page).cast("B")[:size_bytes].cast(kind, ())  # type: ignore[call-overload,no-any-return]


def _wiped_page(length: int) -> "mmap.mmap | None":
    try:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        page = mmap.mmap(-1, length, flags=flags)
        page.madvise(_MADV_WIPEONFORK)
    except (AttributeError, OSError, ValueError, TypeError):
        return None  # not Linux, or a kernel before 4.14
    return page
