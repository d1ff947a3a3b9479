"""What happens around ``os.fork``: nothing of SQLite crosses it, and no lock is freed.

The hooks are registered once a process and serve whoever is protected now. A child
whose ``before`` hook did not run to its end (a raw fork, or a gate that was not free
in time) is *tainted*: it never opens the buffer, never leads and starts no thread.
"""

import os
import sys
import threading
import time
from types import FrameType
from typing import Protocol

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.notice import notice

GATE_WAIT_S = 2.0  # a transaction that is interrupted ends within a millisecond
_STEP_S = 0.001
_GRACE_S = 0.05  # for a transaction, when another one was interrupted lately
_AGAIN_S = 1.0
OUR_THREADS = "probekit-"
_IMPORT_WAIT_S = (
    0.5  # none of ours takes as long, but a host's import may be in its way
)
_IMPORTING = "<frozen importlib._bootstrap>"


class Gate(Protocol):
    """A re-entrant lock around all SQLite calls of this process."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - threading's own signature
        """Take it."""

    def release(self) -> None:
        """Let it go."""


class Connected(Protocol):
    """Something that holds connections which must not cross a fork: a store."""

    @property
    def gate(self) -> Gate:
        """Held around each of its SQLite calls."""

    def interrupt(self) -> None:
        """Stop what runs."""

    def close(self) -> None:
        """Close every connection; the next call opens again."""


class Household(Protocol):
    """What a process has running that a fork touches."""

    def before_fork(self) -> None:
        """Make everything fit to be copied; may raise: then the child is tainted."""

    def after_fork_in_parent(self) -> None:
        """Go on; also when ``before_fork`` raised."""

    def after_fork_in_child(self, *, clean: bool) -> None:
        """Let go of what is the parent's; no thread, no file, no lock of the parent."""


class _Hooks:
    def __init__(self) -> None:
        self.registered = False
        self.household: Household | None = None
        self.prepared_by = 0
        self.interrupted_s = float("-inf")


_hooks = _Hooks()


def protect(household: "Household | None") -> None:
    """Let the hooks serve *household* from now on; None for nobody."""
    _hooks.household = household
    if household is not None and not _hooks.registered:
        register = getattr(os, "register_at_fork", None)
        if register is not None:
            register(
                before=_before,
                after_in_parent=_after_in_parent,
                after_in_child=_after_in_child,
            )
        _hooks.registered = True


def quiesce(store: Connected, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Take the store's gate, stopping what runs, and close its connections.

    Raises:
        TimeoutError: The gate was not free in time (a hanging disk); it is not held.
        Exception: What closing raised; the gate is not held.

    """
    since_s = clock.monotonic_s()
    # Who forks all the time must not keep the leader from ever getting done.
    patience_s = _GRACE_S if since_s - _hooks.interrupted_s < _AGAIN_S else _STEP_S
    while not store.gate.acquire(timeout=patience_s):
        store.interrupt()
        now_s = _hooks.interrupted_s = clock.monotonic_s()
        if now_s > since_s + GATE_WAIT_S:
            raise TimeoutError("the buffer is busy; a forked child will not use it")
        patience_s = _STEP_S
    try:
        store.close()
    except BaseException:
        store.gate.release()
        raise


def let_imports_end() -> bool:
    """Wait until none of our threads is in the middle of an import; False for in vain.

    A module's lock crosses a fork as it is: a child would wait for ever for a thread
    of its parent's to finish importing, as soon as it imports the same module.
    """
    end_s = time.monotonic() + _IMPORT_WAIT_S
    while _imports():
        if time.monotonic() > end_s:
            return False
        time.sleep(_STEP_S)
    return True


def _imports() -> bool:
    ours = {each.ident for each in threading.enumerate() if _is_ours(each)}
    ours.discard(threading.get_ident())
    frames = sys._current_frames()  # noqa: SLF001 - its documented name
    return any(_is_importing(frames[each]) for each in ours & frames.keys() if each)


def _is_ours(thread: threading.Thread) -> bool:
    return thread.name.startswith(OUR_THREADS)


def _is_importing(frame: "FrameType | None") -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


def _before() -> None:
    household = _hooks.household
    _hooks.prepared_by = 0
    if household is None:
        return
    try:
        household.before_fork()
        let_imports_end()
    except Exception as error:
        notice("fork", f"a fork found the buffer busy: {error}")
        return
    _hooks.prepared_by = os.getpid()  # the last act: a missing flag is a raw fork


def _after_in_parent() -> None:
    household = _hooks.household
    _hooks.prepared_by = 0
    if household is not None:
        try:
            household.after_fork_in_parent()
        except Exception as error:
            notice("fork", f"after a fork: {error}")


def _after_in_child() -> None:
    household = _hooks.household
    # Not compared with the parent's id: a parent that ends at once, as those of daemons
    # do, may be gone by now, and the child's parent another process.
    clean = _hooks.prepared_by not in {0, os.getpid()}
    _hooks.prepared_by = 0
    if household is not None:
        try:
            household.after_fork_in_child(clean=clean)
        except Exception as error:
            notice("fork", f"in a forked child: {error}")
