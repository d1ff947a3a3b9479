"""Calls that wait: coroutines of asyncio's tasks, which are on no thread's stack.

A task is looked at from outside, while its loop runs on: from its coroutine along what
each one awaits. Tasks that run at this moment are on a thread's stack, and found there.
Not found are coroutines of other kinds of loops, and what lies behind an async
generator, which does not tell what it waits for.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from heapq import nsmallest
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any

from probekit.recording.underway.calls import (
    INTEGRATIONS,
    call_of,
    can_look,
    served_by,
    told,
)
from probekit.recording.underway.running import LONG_S, MOST, UNDERWAY, Operation
from probekit.recording.underway.sightings import Sightings, Suspended, frame_of

if TYPE_CHECKING:
    from probekit.recording.functions.stitch import Stitch

TASKS = 1_000  # with more of them none is looked at: the look would be felt
DEPTH = 50  # coroutines of one task
# The names of the set that ``asyncio.all_tasks`` reads, by version; that function
# itself must be given a loop.
_REGISTERS = ("_all_tasks", "_scheduled_tasks", "_eager_tasks")


def waiting_calls(
    now_s: float, places: "dict[int, str]", sightings: "Sightings | None" = None
) -> "list[Operation]":
    """Find the calls that began a second before *now_s* and wait for something.

    Args:
        now_s: ``perf_counter()``, seconds.
        places: Is told of entered requests, by ``id()``, where they wait.
        sightings: As in ``calls.long_calls``.

    Returns:
        The calls, the oldest 32.

    Threads:
        Any; 10 to 20 µs for each task. No frame and no coroutine is kept.

    """
    tasks = _tasks() if can_look() else []
    found: list[tuple[Operation, Any]] = []
    for task in tasks if len(tasks) <= TASKS else ():
        if not task.done():
            coroutine = task.get_coro()
            calls = _calls_of(coroutine, now_s - LONG_S, places, sightings)
            found += [(call, coroutine) for call in calls]
    # To say where one stands takes longer than to see that it does.
    oldest = nsmallest(MOST, found, key=lambda each: each[0].began_s)
    return [replace(call, stack=_stack_of(coroutine)) for call, coroutine in oldest]


def _tasks() -> "list[Any]":
    """All tasks of all loops; nothing is loaded, and nobody waits."""
    module = sys.modules.get("asyncio.tasks")
    found: dict[int, Any] = {}
    for name in _REGISTERS:
        register = getattr(module, name, ())
        # Of a WeakSet its references: a set is copied in one step, whoever changes it.
        references = getattr(register, "data", None)
        members = [each() for each in references.copy()] if references else register
        found.update((id(each), each) for each in list(members) if each is not None)
    return list(found.values())


def _calls_of(
    coroutine: Suspended,
    before_s: float,
    places: "dict[int, str]",
    sightings: "Sightings | None",
) -> "list[Operation]":
    found: list[Operation] = []
    for owner, frame in _chain(coroutine):
        seen = None if sightings is None else _Waiting(sightings, owner)
        call = call_of(frame, seen)
        if call is not None:
            if call.began_s <= before_s:
                found.append(call)
        elif UNDERWAY and frame.f_code.co_filename.startswith(INTEGRATIONS):
            served = served_by(frame)
            stack = _stack_of(coroutine) if served else ""
            places.update((each, stack) for each in served)
    return found


def _stack_of(coroutine: Suspended) -> str:
    return told([frame for _, frame in _chain(coroutine)][::-1])


class _Waiting:
    """What is known of one coroutine."""

    def __init__(self, sightings: Sightings, owner: Suspended) -> None:
        self._sightings = sightings
        self._owner = owner

    def has_begun(self, frame: FrameType, began_s: float) -> None:
        """Nothing more is known of others by that."""

    def since(self, frame: FrameType, stitch: "Stitch") -> float:
        return self._sightings.waiting(self._owner, frame, stitch)


def _chain(coroutine: Suspended) -> "Iterator[tuple[Suspended, FrameType]]":
    """A task's coroutine and what it waits in, outermost first, with their frames."""
    owner = coroutine
    for _ in range(DEPTH):
        if type(owner) is CoroutineType:
            frame, runs, awaited = owner.cr_frame, owner.cr_running, owner.cr_await
        else:
            frame, runs = frame_of(owner), getattr(owner, "gi_running", False)
            awaited = getattr(owner, "gi_yieldfrom", None)
            awaited = awaited or getattr(owner, "ag_await", None)
        if frame is None or runs:
            return
        yield owner, frame
        owner = awaited
