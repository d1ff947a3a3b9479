"""Whether an exception on its way outward is recorded already.

One error is recorded once, at the innermost place that saw it. Probes leave their
frame in the traceback; other places, which have no frame there, say so here.
"""

from contextvars import ContextVar

from probekit.recording.errors.stack import WALK_LIMIT
from probekit.recording.template import FILENAME
from probekit.recording.woven import is_woven

# The number of the object only: nothing keeps the exception alive.
_last: "ContextVar[int]" = ContextVar("probekit_recorded_error", default=0)


def mark_recorded(error: BaseException) -> None:
    """Say that *error*, which is about to go on outward, is recorded."""
    _last.set(id(error))


def forget_mark() -> None:
    """Begin anew: whatever is raised from here on is another error.

    The number of an object that is gone may come back with the next one.
    """
    _last.set(0)


def is_recorded(error: BaseException) -> bool:
    """Say whether a probe has seen *error* or somebody has marked it."""
    if _last.get() == id(error):
        return True
    trace = error.__traceback__
    for _ in range(WALK_LIMIT):
        if trace is None:
            break
        code = trace.tb_frame.f_code
        if code.co_filename == FILENAME or is_woven(code):
            return True
        trace = trace.tb_next
    return False
