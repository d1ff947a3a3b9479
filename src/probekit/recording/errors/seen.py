"""Whether an exception on its way outward is recorded already.

One error is recorded once, at the innermost place that saw it. Probes leave their
frame in the traceback. Others, which have none there, say so here: with the frame of
the application that the error had come to, for the number of an exception that is gone
comes back with the next one.

Jobs and requests see every error that passes their place: their marks are sure. Who
logs an error may let the next one pass: such a mark is believed only by those who know
when they began, and ask for what came since.
"""

import sys
from time import perf_counter

from probekit.hints import TYPE_CHECKING, NamedTuple
from probekit.recording.errors.stack import WALK_LIMIT
from probekit.recording.template import FILENAME
from probekit.recording.woven import is_woven

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

MARKS_LIMIT = 1000  # then all are forgotten; most errors end where they are marked
_CALLERS_LIMIT = 20  # frames between a context manager's generator and its ``with``


class Mark(NamedTuple):
    """Where an exception was recorded; numbers only, nothing keeps it alive."""

    frame_id: int
    code_id: int
    instruction: int
    at_s: float
    is_sure: bool


_marks: "dict[int, Mark]" = {}  # by the number of the exception


def is_new(error: BaseException, since_s: float) -> bool:
    """Say whether *error* is still to be recorded, by whoever asks and marks it then.

    Args:
        error: What is on its way.
        since_s: When the job or the request began, ``perf_counter()`` seconds: what
            was recorded before had the same number only, and its mark is dropped.

    """
    if is_marked(error, since_s) or _has_met_a_probe(error):
        return False
    forget_mark(error)
    return True


def mark_recorded(error: BaseException, *, is_sure: bool = True) -> None:
    """Say that *error*, which may be about to go on outward, is recorded; any thread.

    Args:
        error: The exception.
        is_sure: Whether every error that passes this place is recorded or forgotten.

    """
    trace = error.__traceback__
    if trace is None:  # never raised, it cannot go on
        return
    # A context manager's generator is left out of the traceback as the error goes on;
    # the frame that it was thrown in from, which called it, is not.
    while trace.tb_next and _is_caller(trace.tb_next.tb_frame, trace.tb_frame):
        trace = trace.tb_next
    if len(_marks) >= MARKS_LIMIT:
        _marks.clear()
    _marks[id(error)] = Mark(*_place_of(trace), perf_counter(), is_sure)


def forget_mark(error: BaseException) -> None:
    """Say that *error* goes no further, or was not recorded at all."""
    _marks.pop(id(error), None)


class Recorded:
    """A block in which an error is a recorded one: others are told of it there."""

    __slots__ = ("_error",)

    def __init__(self, error: object) -> None:
        """Do nothing for what is no ``Exception``."""
        self._error = error if isinstance(error, Exception) else None

    def __enter__(self) -> None:
        """Begin."""
        if self._error is not None:
            mark_recorded(self._error)

    def __exit__(self, *_: object) -> None:
        """End."""
        if self._error is not None:
            forget_mark(self._error)


def is_marked(error: BaseException, since_s: "float | None" = None) -> bool:
    """Say whether :func:`mark_recorded` was told of *error*.

    Args:
        error: The exception.
        since_s: Not before this moment, ``perf_counter()`` seconds; None for whenever,
            and then a mark has to be sure.

    """
    mark = _marks.get(id(error))
    if mark is None:
        return False
    is_believed = mark.is_sure if since_s is None else mark.at_s >= since_s
    return is_believed and any(_place_of(trace) == mark[:3] for trace in _walk(error))


def catcher_of(error: BaseException) -> "FrameType | None":
    """Return the frame that handles *error* now; None where all have been left.

    A woven function that handles an error itself has not let it out, nor counted it.
    """
    trace = error.__traceback__
    if trace is None:
        return None
    # Kept in no local: a frame that knows itself would keep the error alive.
    is_running = _is_caller(trace.tb_frame, sys._getframe(), WALK_LIMIT)  # noqa: SLF001
    return trace.tb_frame if is_running else None


def _has_met_a_probe(error: BaseException) -> bool:
    catcher = catcher_of(error)
    frames = (trace.tb_frame for trace in _walk(error))
    return any(
        frame.f_code.co_filename == FILENAME or is_woven(frame.f_code)
        for frame in frames
        if frame is not catcher
    )


def _walk(error: BaseException) -> "Iterator[TracebackType]":
    trace = error.__traceback__
    for _ in range(WALK_LIMIT):
        if trace is None:
            break
        yield trace
        trace = trace.tb_next


def _place_of(trace: "TracebackType") -> "tuple[int, int, int]":
    frame = trace.tb_frame
    return id(frame), id(frame.f_code), trace.tb_lasti


def _is_caller(
    caller: "FrameType", called: "FrameType", most: int = _CALLERS_LIMIT
) -> bool:
    frame = called.f_back
    for _ in range(most):
        if frame is None or frame is caller:
            break
        frame = frame.f_back
    return frame is caller
