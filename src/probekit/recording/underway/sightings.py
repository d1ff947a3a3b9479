"""Calls that keep their start to themselves: since when they have been seen.

Woven code keeps the start of a call where no Python code can see it. So a call is as
old as the first look that saw it, if the next look saw the very same call, and not
another one of the same function: a coroutine is known by itself; a thread that has not
run since the last look is still in the same calls; and so are a call inside which an
older one runs, and one whose function has returned from no call since. Where all of
this leaves a doubt, the function gets a copy of its code: a call that still runs the
one before is no new one at the next look.
"""

import os
import threading
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import ref

from probekit.recording.woven import is_woven, witness_of

if TYPE_CHECKING:
    from probekit.recording.functions.stitch import Stitch
    from probekit.recording.registry import Registry

MOST = 1_000  # calls that are remembered from one look to the next
_THREADS = 200  # whose rest is looked at; 10 µs each

Suspended: TypeAlias = Any  # a coroutine, a generator or an async generator


@dataclass(slots=True)
class Sighting:
    """One call, seen running.

    Attributes:
        since_s: When it was first seen, ``perf_counter()`` seconds.
        stitch: Its function.
        owner: The coroutine whose call it is, once that was seen waiting.
        is_alone: Whether no call of its function has returned since the last look.
        retired: The code that it runs, if no call has begun in that since.
    """

    since_s: float
    stitch: "Stitch"
    owner: "ref[Suspended] | None" = None
    is_alone: bool = True
    retired: "CodeType | None" = None

    def is_of(self, frame: FrameType, stitch: "Stitch") -> bool:
        """Whether *frame*, found at the same place in memory, is the same call."""
        if self.stitch is not stitch:
            return False
        if self.retired is frame.f_code:
            return True
        if self.owner is None:
            return self.is_alone
        owner = self.owner()
        return owner is not None and frame_of(owner) is frame


class Sightings:
    """What the last look saw, for the next one to compare with.

    Attributes:
        last_s: When that was, ``perf_counter()`` seconds.

    Threads:
        One at a time. Keeps no frame and no coroutine.
    """

    def __init__(self, registry: "Registry") -> None:
        """Start with nothing; *registry* tells when calls have returned."""
        self._registry = registry
        self._asked = False
        self._seen: dict[int, Sighting] = {}
        self._now: dict[int, Sighting] = {}
        self._ran: dict[int, bytes] = {}
        self._runs: dict[int, bytes] = {}
        self._natives: dict[int, int] = {}
        self.last_s = self._now_s = float("-inf")

    def begin(self, now_s: float) -> None:
        """A look begins: what the one before it has seen is the past."""
        self._seen, self._now = self._now, {}
        self.last_s, self._now_s = self._now_s, now_s
        threads = threading.enumerate()[:_THREADS]
        self._natives = {
            each.ident: each.native_id
            for each in threads
            if each.ident is not None and each.native_id is not None
        }
        # Before anybody's frames are looked at: what runs from here on counts.
        self._ran, self._runs = self._runs, {}
        for thread in self._natives:
            self._runs[thread] = self._run_of(thread)

    def forget(self) -> None:
        """Nothing is compared any more, and nobody asked."""
        if self._asked:
            self._registry.observers.remove(self._listen)
            self._asked = False
        self._seen, self._now, self._runs = {}, {}, {}
        self.last_s = self._now_s = float("-inf")

    def has_rested(self, thread: int) -> bool:
        """Whether *thread* has not run for a moment since the last look began.

        Ask after its frames were looked at: it has not changed them meanwhile.
        """
        before = self._ran.get(thread)
        return bool(before) and before == self._run_of(thread)

    def running(
        self, frame: FrameType, stitch: "Stitch", *, is_same: bool
    ) -> "tuple[float, bool]":
        """Since when a call on a thread has been seen.

        Args:
            frame: Its frame.
            stitch: Its function.
            is_same: Whether whatever *frame* is, it has not changed since.

        Returns:
            Seconds of ``perf_counter()``, and whether it is the same call as before.

        """
        before = self._seen.get(id(frame))
        if before is None or not (is_same or before.is_of(frame, stitch)):
            found = Sighting(self._now_s, stitch)
            if before is not None and before.stitch is stitch:
                found.retired = stitch.retired(frame.f_code)
            self._remember(frame, found)
            return self._now_s, False
        self._remember(frame, before)
        return before.since_s, True

    def waiting(self, owner: Suspended, frame: FrameType, stitch: "Stitch") -> float:
        """Since when a call that waits has been seen; *owner* is its coroutine."""
        since_s, _ = self.running(frame, stitch, is_same=False)
        found = self._now.get(id(frame))
        if found is not None and found.owner is None:
            found.owner = ref(owner)
        return since_s

    def _remember(self, frame: FrameType, sighting: Sighting) -> None:
        if not self._asked:
            self._asked = True
            self._registry.observe(self._listen)
        if len(self._now) < MOST:
            sighting.is_alone = True
            self._now[id(frame)] = sighting

    def _listen(self, _: object) -> None:
        """At each drain, before it takes what was recorded: who has returned?"""
        for sighting in self._now.values():
            stitch = sighting.stitch
            if stitch.is_hot or stitch.calls():
                sighting.is_alone = False

    def _run_of(self, thread: int) -> bytes:
        """How often and how long *thread* has run, or empty where nobody tells."""
        native = self._natives.get(thread)
        try:
            descriptor = os.open(
                f"/proc/self/task/{native}/schedstat", os.O_RDONLY | os.O_CLOEXEC
            )
        except OSError:  # no Linux, or it has just ended
            return b""
        try:
            return os.read(descriptor, 100)
        except OSError:
            return b""
        finally:
            os.close(descriptor)


def frame_of(owner: Suspended) -> "FrameType | None":
    """The frame of a coroutine, generator or async generator that has not ended."""
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(owner, name, None)
        if isinstance(frame, FrameType):
            return frame
    return None


def stitch_of(code: CodeType) -> "Stitch | None":
    """Which function woven *code* belongs to; None for code that is not woven."""
    if not is_woven(code):
        return None
    # Loaded, for there is woven code; and too heavy for who has none.
    from probekit.recording.functions.stitch import Stitch

    witness = witness_of(code)
    return witness if isinstance(witness, Stitch) else None
