"""threading: a thread begins with the trace context of the thread that started it.

The workers of pools live longer than the call that happened to start them and are
left out; pools carry the context task by task.
"""

from types import ModuleType
from typing import Any

from probekit.integrations.context import capture
from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.patching import Patches

_CARRIED = "_probekit_carried"
_POOLS = ("concurrent.", "multiprocessing.", "probekit.")


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``threading``."""
    if hasattr(module.Thread, "_bootstrap_inner"):
        patches.wrap(module.Thread, "start", _start)
        patches.wrap(module.Thread, "_bootstrap_inner", _bootstrap)


def _start(wrapped: Any, thread: Any, args: Any, kwargs: Any) -> Any:
    try:
        target = getattr(thread, "_target", None)
        home = str(getattr(target, "__module__", "") or type(thread).__module__)
        if not home.startswith(_POOLS):
            carried = capture()
            if carried is not None:
                setattr(thread, _CARRIED, carried)
    except Exception as error:
        told("threading", error)
    return wrapped(*args, **kwargs)


def _bootstrap(wrapped: Any, thread: Any, args: Any, kwargs: Any) -> Any:
    try:
        carried = vars(thread).pop(_CARRIED, None)
        if carried is not None:
            carried.settle()
    except Exception as error:
        told("threading", error)
    return wrapped(*args, **kwargs)
