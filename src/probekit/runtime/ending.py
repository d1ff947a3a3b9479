"""Hearing of the end of a process: ``atexit``, and what multiprocessing has instead.

Children of multiprocessing skip ``atexit`` (before Python 3.13 always, and with
``fork`` still); they run the finalizers of ``multiprocessing.util``. No signal
handlers: those are the application's.
"""

import atexit
import os
import sys
import threading
from collections.abc import Callable

_lock = threading.Lock()
_registered = False
_heard_pid = 0
_current: "Callable[[], None] | None" = None


def at_end_of_process(call: "Callable[[], None] | None") -> None:
    """Call *call* when this process ends normally; only the newest one is called.

    Threads:
        Any.

    """
    global _registered, _current
    _current = call
    if not _registered:
        _registered = True
        atexit.register(_end)
    _in_multiprocessing()


def _in_multiprocessing() -> None:
    """Be heard in a child of multiprocessing, whose finalizers begin empty."""
    global _heard_pid
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is None or util is None:
        return
    if process.parent_process() is None:
        # A child of the fork server imports the program before it is a process of
        # multiprocessing, and only then are its finalizers emptied.
        if getattr(process.current_process(), "_inheriting", False):
            util.register_after_fork(_in_multiprocessing, _call)
        return
    if _heard_pid != os.getpid():
        _heard_pid = os.getpid()
        util.Finalize(None, _end, exitpriority=_PRIORITY)


def _call(function: "Callable[[], None]") -> None:
    function()


_PRIORITY = -1_000  # after the application's own finalizers, which may record


def _end() -> None:
    if _current is not None:
        try:
            _current()
        except Exception as error:  # the exit goes on whatever happens here
            from probekit.notice import notice

            notice("end", "what was recorded last may be missing", error)
