"""asyncio: how late the loop is, and exceptions that nobody awaited.

Lag is measured by a timer of the loop's own, twice a second: how much later than asked
it runs is how long something held the loop. Tasks carry their context by themselves.
"""

from types import ModuleType
from typing import Any
from weakref import WeakSet

from probekit.integrations.libraries.figures import Durations, told
from probekit.integrations.libraries.patching import Patches
from probekit.passing import let_pass
from probekit.recording.errors.seen import Recorded
from probekit.recording.events import record_error
from probekit.recording.registry import REGISTRY

PERIOD_S = 0.5

_LAG = Durations("probekit.asyncio.lag", "How late the event loop runs what is due.")
_watched: "WeakSet[Any]" = WeakSet()


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``asyncio.base_events`` and ``asyncio.runners``."""
    if module.__name__ == "asyncio.base_events":

        def run_forever(wrapped: Any, loop: Any, args: Any, kwargs: Any) -> Any:
            with LagWatch(loop, patches):
                return wrapped(*args, **kwargs)

        patches.wrap(module.BaseEventLoop, "run_forever", run_forever)
        patches.wrap(module.BaseEventLoop, "call_exception_handler", _unawaited)
    elif hasattr(module, "Runner"):  # reaches loops written in C, such as uvloop's

        def run(wrapped: Any, runner: Any, args: Any, kwargs: Any) -> Any:
            with LagWatch(_loop_of(runner), patches):
                return wrapped(*args, **kwargs)

        patches.wrap(module.Runner, "run", run)


def _loop_of(runner: Any) -> Any:
    try:
        return runner.get_loop()
    except Exception as error:  # a closed runner: its own run() says so
        let_pass(error)
        return None


class LagWatch:
    """Measures the lag of a loop while it runs; one watch a loop.

    Args:
        loop: The loop; None for none.
        patches: Measuring ends when they are undone.
    """

    def __init__(self, loop: Any, patches: Patches) -> None:
        """Prepare; nothing is scheduled yet."""
        self._loop = loop
        self._patches = patches
        self._timer: Any = None
        self._mine = False

    def __enter__(self) -> None:
        """Begin, unless the loop is watched already."""
        try:
            if self._loop is not None and self._loop not in _watched:
                _watched.add(self._loop)
                self._mine = True
                self._schedule()
        except Exception as error:
            told("asyncio", error)

    def __exit__(self, *_exception: object) -> None:
        """Take the timer out of the loop."""
        if not self._mine:
            return
        try:
            _watched.discard(self._loop)
            if self._timer is not None:
                self._timer.cancel()
        except Exception as error:
            told("asyncio", error)

    def _schedule(self) -> None:
        due_s = self._loop.time() + PERIOD_S
        self._timer = self._loop.call_at(due_s, self._tick, due_s)

    def _tick(self, due_s: float) -> None:
        try:
            _LAG.record(max(0.0, self._loop.time() - due_s), ())
            if self._patches.active:
                self._schedule()
        except Exception as error:
            told("asyncio", error)


def _unawaited(wrapped: Any, _loop: Any, args: Any, kwargs: Any) -> Any:
    context = args[0] if args else kwargs.get("context")
    error = None
    try:
        error = context.get("exception")
        if isinstance(error, Exception):
            record_error(REGISTRY, error)
    except Exception as failure:
        told("asyncio", failure)
    with Recorded(error):  # it is about to be logged
        return wrapped(*args, **kwargs)
