"""concurrent.futures: a task given to a thread pool keeps its giver's trace context.

Process pools carry nothing over: what they run is another process's business.
"""

from types import ModuleType
from typing import Any

from probekit.integrations.context import Carried, capture
from probekit.integrations.libraries.patching import Patches


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``concurrent.futures.thread``."""
    patches.wrap(module.ThreadPoolExecutor, "submit", _submit)


def _submit(wrapped: Any, _pool: Any, args: Any, kwargs: Any) -> Any:
    carried = capture() if args else None
    if carried is None:
        return wrapped(*args, **kwargs)
    return wrapped(_Task(carried, args[0]), *args[1:], **kwargs)


class _Task:
    """A function with the context that it is to run in."""

    __slots__ = ("_carried", "_function")

    def __init__(self, carried: Carried, function: Any) -> None:
        self._carried = carried
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it there."""
        take_off = self._carried.put_on()
        try:
            return self._function(*args, **kwargs)
        finally:
            take_off()
