"""Calls under way, found on the threads' stacks: the calls themselves pay nothing.

Only frames of our own code are looked into, a compiled wrapper's above all: it holds
the time at which its call began. Of all others only file, line and name are read. Woven
code holds nothing that can be read: see ``sightings``. Calls of coroutines that wait
are on no thread's stack: see ``coroutines``.
"""

import re
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Protocol

from probekit.recording.errors.stack import OURS
from probekit.recording.functions.outcome import Outcome
from probekit.recording.template import (
    ASYNC_GENERATOR,
    COROUTINE,
    FILENAME,
    GENERATOR,
    PREFIX,
)
from probekit.recording.underway.running import LONG_S, UNDERWAY, Operation
from probekit.recording.underway.sightings import Sightings, stitch_of

if TYPE_CHECKING:
    from probekit.recording.functions.stitch import Stitch

DEPTH = 200  # frames of one thread that are looked at
SHOWN = 12  # of them, innermost, that are told
THREADS = 200
_STARTED = re.compile(f"{PREFIX}_*_t0")
INTEGRATIONS = f"{OURS}integrations"


def long_calls(
    now_s: float, sightings: "Sightings | None" = None
) -> "tuple[list[Operation], dict[int, str]]":
    """Find the calls that began a second before *now_s*.

    Args:
        now_s: ``perf_counter()``, seconds.
        sightings: What the last look saw, this one having begun; None finds no woven
            calls.

    Returns:
        The calls, outermost first within each thread; and for entered requests that a
        thread is serving, by ``id()``, where that thread stands.

    Threads:
        Any; about 0.1 µs for each frame of each thread. No frame is kept.

    """
    if not can_look():
        return [], {}
    me = threading.get_ident()
    calls: list[Operation] = []
    places: dict[int, str] = {}
    frames = sys._current_frames()  # noqa: SLF001 - its documented name
    for thread in list(frames)[:THREADS]:
        frame = frames.pop(thread)
        if thread != me:
            seen = _OnThread(sightings, thread) if sightings is not None else None
            calls += _calls_of(frame, now_s - LONG_S, places, seen)
        del frame  # at once: what a frame holds lives as long as it
    return calls, places


def can_look() -> bool:
    """Whether the stacks of others stand still while this thread looks at them."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Seen(Protocol):
    """What is known of calls, asked from the innermost frame on."""

    def has_begun(self, frame: FrameType, began_s: float) -> None:
        """The call of *frame* says when it began."""

    def since(self, frame: FrameType, stitch: "Stitch") -> float:
        """Since when the call of *frame*, of *stitch*, has been seen."""


class _OnThread:
    """What is known of the calls of one thread.

    Whatever an older call runs in is at least as old, unless that call can be left and
    entered again.
    """

    def __init__(self, sightings: Sightings, thread: int) -> None:
        self._sightings = sightings
        self._thread = thread
        self._is_same: bool | None = None

    def has_begun(self, frame: FrameType, began_s: float) -> None:
        if began_s <= self._sightings.last_s and not _can_be_left(frame):
            self._is_same = True

    def since(self, frame: FrameType, stitch: "Stitch") -> float:
        if self._is_same is None:
            self._is_same = self._sightings.has_rested(self._thread)
        since_s, is_same = self._sightings.running(frame, stitch, is_same=self._is_same)
        self._is_same = self._is_same or (is_same and not _can_be_left(frame))
        return since_s


def _can_be_left(frame: FrameType) -> bool:
    return bool(frame.f_code.co_flags & (GENERATOR | COROUTINE | ASYNC_GENERATOR))


def _calls_of(
    innermost: FrameType,
    before_s: float,
    places: "dict[int, str]",
    seen: "Seen | None",
) -> "list[Operation]":
    found: list[Operation] = []
    stack = ""
    for frame in _frames(innermost):
        call = call_of(frame, seen)
        if call is not None:
            if call.began_s <= before_s:
                stack = stack or stack_of(innermost)
                found.append(replace(call, stack=stack))
        elif UNDERWAY and frame.f_code.co_filename.startswith(INTEGRATIONS):
            stack = stack or stack_of(innermost)
            places.update((each, stack) for each in served_by(frame))
    return found[::-1]


def call_of(frame: FrameType, seen: "Seen | None") -> "Operation | None":
    """The call that *frame* is of, if it is one of ours and its age is known."""
    code = frame.f_code
    if code.co_filename == FILENAME:
        began_s, outcome = _wrapped(frame)
        if began_s is None:
            return None
        if seen is not None:
            seen.has_begun(frame, began_s)
        return _call(frame, began_s, outcome)
    stitch = stitch_of(code) if seen is not None else None
    if seen is None or stitch is None:
        return None
    since_s = seen.since(frame, stitch)
    return Operation("call", stitch.name, since_s, stitch.attributes)


def served_by(frame: FrameType) -> "list[int]":
    """Which entered requests a *frame* of our integrations holds, by ``id()``."""
    served = {id(each) for each in UNDERWAY.copy()}
    return [each for each in map(id, frame.f_locals.values()) if each in served]


def _frames(innermost: FrameType) -> "Iterator[FrameType]":
    frame: FrameType | None = innermost
    for _ in range(DEPTH):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _wrapped(frame: FrameType) -> "tuple[float | None, Outcome | None]":
    """When the call of a wrapper began, and where it is recorded, if it says so."""
    code = frame.f_code
    # Ours has a longer prefix than any parameter that looks the same.
    started = max(filter(_STARTED.fullmatch, code.co_varnames), key=len, default="")
    fail = started.removesuffix("t0") + "fail"
    values: Any = frame.f_locals
    began_s = values.get(started)
    owner = outcome_of(values.get(fail))
    return (began_s if isinstance(began_s, float) else None), owner


def outcome_of(fail: object) -> "Outcome | None":
    """Which outcome a wrapper's ``fail`` belongs to; see ``outcome.failure_of``."""
    closure = getattr(fail, "__closure__", None) or ()
    for cell in closure:
        owner = getattr(cell.cell_contents, "__self__", None)
        if isinstance(owner, Outcome):
            return owner
    return None


def _call(frame: FrameType, began_s: float, outcome: "Outcome | None") -> Operation:
    if outcome is not None:
        return Operation("call", outcome.name, began_s, outcome.attributes)
    name = f"{frame.f_globals.get('__name__', '')}.{_name_of(frame.f_code)}"
    return Operation("call", name, began_s, {"code.function.name": name})


def stack_of(innermost: FrameType) -> str:
    """Where a thread stands: file, line and name of its innermost frames, no more."""
    return told(_frames(innermost))


def told(frames: "Iterable[FrameType]") -> str:
    """The same of *frames*, innermost first."""
    lines: list[str] = []
    for frame in frames:
        code = frame.f_code
        if code.co_filename != FILENAME and not code.co_filename.startswith(OURS):
            where = f"{code.co_filename}:{frame.f_lineno}"
            lines.append(f"{where} in {_name_of(code)}")
        if len(lines) == SHOWN:
            break
    return "\n".join(lines)


def _name_of(code: CodeType) -> str:
    return str(getattr(code, "co_qualname", code.co_name))
