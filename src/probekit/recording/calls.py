"""Calls under way, found on the threads' stacks: the calls themselves pay nothing.

Only frames of our own code are looked into, a compiled wrapper's above all: it holds
the time at which its call began. Of all others only file, line and name are read.
Calls of coroutines that wait are on no thread's stack and are not found.
"""

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from probekit.recording.outcome import Outcome
from probekit.recording.running import LONG_S, UNDERWAY, Operation
from probekit.recording.template import FILENAME, PREFIX

DEPTH = 200  # frames of one thread that are looked at
SHOWN = 12  # of them, innermost, that are told
THREADS = 200
_STARTED = re.compile(f"{PREFIX}_*_t0")
_OURS = str(Path(__file__).parent.parent)
_INTEGRATIONS = str(Path(_OURS, "integrations"))


def long_calls(now_s: float) -> "tuple[list[Operation], dict[int, str]]":
    """Find the calls that began a second before *now_s*.

    Returns:
        The calls, outermost first within each thread; and for entered requests that a
        thread is serving, by ``id()``, where that thread stands.

    Threads:
        Any; about 0.1 µs for each frame of each thread. No frame is kept.

    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return [], {}  # stacks of threads that run meanwhile cannot be read
    me = threading.get_ident()
    calls: list[Operation] = []
    places: dict[int, str] = {}
    frames = sys._current_frames()  # noqa: SLF001 - its documented name
    for thread in list(frames)[:THREADS]:
        frame = frames.pop(thread)
        if thread != me:
            calls += _calls_of(frame, now_s - LONG_S, places)
        del frame  # at once: what a frame holds lives as long as it
    return calls, places


def _calls_of(
    innermost: FrameType, before_s: float, places: "dict[int, str]"
) -> "list[Operation]":
    found: list[Operation] = []
    stack = ""
    for frame in _frames(innermost):
        path = frame.f_code.co_filename
        if path == FILENAME:
            began_s, outcome = _wrapped(frame)
            if began_s is not None and began_s <= before_s:
                stack = stack or stack_of(innermost)
                found.append(_call(frame, began_s, outcome, stack))
        elif path.startswith(_INTEGRATIONS) and UNDERWAY:
            stack = stack or stack_of(innermost)
            served = {id(each) for each in UNDERWAY.copy()}
            held = map(id, frame.f_locals.values())
            places.update((each, stack) for each in held if each in served)
    return found[::-1]


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


def _call(
    frame: FrameType, began_s: float, outcome: "Outcome | None", stack: str
) -> Operation:
    if outcome is not None:
        return Operation("call", outcome.name, began_s, outcome.attributes, stack)
    name = f"{frame.f_globals.get('__name__', '')}.{_name_of(frame.f_code)}"
    return Operation("call", name, began_s, {"code.function.name": name}, stack)


def stack_of(innermost: FrameType) -> str:
    """Where a thread stands: file, line and name of its innermost frames, no more."""
    lines: list[str] = []
    for frame in _frames(innermost):
        code = frame.f_code
        if code.co_filename != FILENAME and not code.co_filename.startswith(_OURS):
            where = f"{code.co_filename}:{frame.f_lineno}"
            lines.append(f"{where} in {_name_of(code)}")
        if len(lines) == SHOWN:
            break
    return "\n".join(lines)


def _name_of(code: CodeType) -> str:
    return str(getattr(code, "co_qualname", code.co_name))
