"""Flask: every application is watched from its first request on.

So late, because an application that says how it wants to be watched (``Probekit(app,
exclude=...)``) is to have its way.
"""

from threading import Lock
from types import ModuleType
from typing import Any
from weakref import ref

from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.patching import Patches

_EXTENSION = "probekit"
_ABSENT = object()
_lock = Lock()


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``flask.app``."""

    def serve(wrapped: Any, app: Any, args: Any, kwargs: Any) -> Any:
        if _EXTENSION not in app.extensions:
            _watch(patches, app)
        return wrapped(*args, **kwargs)

    patches.wrap(module.Flask, "__call__", serve)


def _watch(patches: Patches, app: Any) -> None:
    """Watch *app*, to be put back; never raises."""
    try:
        with _lock:
            before = dict(vars(app))
            if _EXTENSION in app.extensions:
                return
            from probekit.integrations.flask import Probekit

            Probekit(app)
            changed = {
                name: (before.get(name, _ABSENT), value)
                for name, value in vars(app).items()
                if before.get(name, _ABSENT) is not value
            }
            app.extensions.setdefault(_EXTENSION, None)  # asked once, where disabled
            seen = ref(app)
            patches.on_undo(lambda: _restore(seen(), changed))
    except Exception as error:
        told("flask", error)


def _restore(app: Any, changed: "dict[str, tuple[Any, Any]]") -> None:
    """Put back what was changed of *app*, unless somebody has changed it again."""
    if app is None:
        return
    app.extensions.pop(_EXTENSION, None)
    for name, (held, ours) in changed.items():
        if vars(app).get(name) is not ours:
            continue
        if held is _ABSENT:
            delattr(app, name)
        else:
            setattr(app, name, held)
