"""Exceptions that are not ours and only pass: raised by the application's own handler.

A signal may come while our code runs on the main thread, and its handler may raise: a
time limit of Celery's, the ``signal.alarm`` of a recipe. That exception is meant for
the application. Who keeps our failures away from it must let that one through, or the
limit is lost.
"""

import os
import sys

from probekit.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_OURS = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120 - hot path
_STDLIB = os.path.join(os.path.dirname(os.__file__), "")  # noqa: PTH118, PTH120
_CALLED = ("probekit.", "namedtuple_", "opentelemetry.", "wrapt.")
_INSTALLED = f"{os.sep}site-packages{os.sep}"


def let_pass(error: "BaseException | None" = None) -> None:
    """Raise *error* anew if a handler of a signal raised it; else do nothing.

    To be called by whoever has caught it and is about to keep it.

    Args:
        error: What was caught. None for the exception that is being handled, which may
            be one that the application handles: then only if it has not come through
            the application on its way here.

    Raises:
        BaseException: *error* itself.

    """
    caught = error if error is not None else sys.exc_info()[1]
    if caught is not None and _is_a_handlers(caught, anywhere=error is not None):
        raise caught


def _is_a_handlers(error: BaseException, *, anywhere: bool) -> bool:
    """Whether a handler of a signal raised *error*.

    Python gives a handler the frame that it has interrupted.

    Args:
        error: Caught in a frame of ours.
        anywhere: Whether that frame may be the application's, called by us.

    """
    trace = error.__traceback__
    interrupted: FrameType | None = None
    while trace is not None:
        frame = trace.tb_frame
        if interrupted is not None and _was_given(frame, interrupted):
            return True
        if not (anywhere or _is_here(frame)):
            return False
        interrupted, trace = frame, trace.tb_next
    return False


def _was_given(frame: "FrameType", interrupted: "FrameType") -> bool:
    """Whether the call of *frame* got the frame before it as an argument."""
    for value in frame.f_locals.values():
        if value is interrupted:
            return True
        if type(value) is tuple and any(each is interrupted for each in value):
            return True  # ``def handler(*_)``
    return False


def _is_here(frame: "FrameType") -> bool:
    """Whether *frame* is ours, or of a library that we have called."""
    file = frame.f_code.co_filename
    if file.startswith((_OURS, "<probekit", "<frozen")):
        return True
    if file.startswith(_STDLIB) and _INSTALLED not in file:
        return True
    # Made of a text, as the methods of small classes are, or installed beside us.
    module = frame.f_globals.get("__name__")
    return isinstance(module, str) and module.startswith(_CALLED)
