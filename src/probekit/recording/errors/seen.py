"""Whether an exception on its way outward is recorded already.

One error is recorded once, at the innermost place that saw it. Probes leave their
frame in the traceback; a job, which has no frame there, says so here: with the place
in the application that its block ended at, for the number of an exception that is gone
comes back with another one.
"""

from time import perf_counter

from probekit.hints import TYPE_CHECKING, NamedTuple
from probekit.recording.errors.stack import WALK_LIMIT
from probekit.recording.template import FILENAME
from probekit.recording.woven import is_woven

if TYPE_CHECKING:
    from types import FrameType, TracebackType

MARKS_LIMIT = 1000  # then all are forgotten; most errors end where they are marked
_CALLERS_LIMIT = 20  # frames between a context manager's generator and its ``with``


class Mark(NamedTuple):
    """Where an exception was recorded; numbers only, nothing keeps it alive."""

    code_id: int
    instruction: int
    at_s: float


_marks: "dict[int, Mark]" = {}  # by the number of the exception


def mark_recorded(error: BaseException) -> None:
    """Say that *error*, which is about to go on outward, is recorded; any thread."""
    trace = error.__traceback__
    if trace is None:  # never raised, it cannot go on
        return
    # A context manager's generator is left out of the traceback as the error goes on;
    # the frame that it was thrown in from, which called it, is not.
    while trace.tb_next and _is_caller(trace.tb_next.tb_frame, trace.tb_frame):
        trace = trace.tb_next
    if len(_marks) >= MARKS_LIMIT:
        _marks.clear()
    code_id = id(trace.tb_frame.f_code)
    _marks[id(error)] = Mark(code_id, trace.tb_lasti, perf_counter())


def forget_mark(error: BaseException) -> None:
    """Say that *error* is another one than what had its number."""
    _marks.pop(id(error), None)


def is_marked(error: BaseException, since_s: float = 0.0) -> bool:
    """Say whether :func:`mark_recorded` was told of *error*.

    Whatever passes the place of a mark has left a job there, which recorded it.

    Args:
        error: What is on its way.
        since_s: Not before this moment, ``perf_counter()`` seconds: a job asks for
            what was told during its own run.

    """
    mark = _marks.get(id(error))
    if mark is None or mark.at_s < since_s:
        return False
    return any(
        id(trace.tb_frame.f_code) == mark.code_id and trace.tb_lasti == mark.instruction
        for trace in _walk(error)
    )


def is_recorded(error: BaseException, since_s: float = 0.0) -> bool:
    """Say whether a probe has seen *error* or somebody has marked it."""
    if is_marked(error, since_s):
        return True
    codes = (trace.tb_frame.f_code for trace in _walk(error))
    return any(code.co_filename == FILENAME or is_woven(code) for code in codes)


def _walk(error: BaseException) -> "list[TracebackType]":
    traces: list[TracebackType] = []
    trace = error.__traceback__
    while trace is not None and len(traces) < WALK_LIMIT:
        traces.append(trace)
        trace = trace.tb_next
    return traces


def _is_caller(caller: "FrameType", called: "FrameType") -> bool:
    frame = called.f_back
    for _ in range(_CALLERS_LIMIT):
        if frame is None or frame is caller:
            break
        frame = frame.f_back
    return frame is caller
