"""Quart and Litestar: every application is watched as if our middleware were around it.

What one says itself holds: an application with our middleware in it, or around it, is
left alone.
"""

from types import ModuleType
from typing import Any

from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.patching import Patches

_TARGET = "probekit.target"  # in a scope, for as long as it takes to get inside
_SIGNATURE = len(("scope", "receive", "send"))
_DEPTH = 50  # of middleware around middleware


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``quart.app`` or ``litestar.app``."""
    if module.__name__ == "quart.app":
        watch = Watch(_has_quart_ours, _QuartSignals(patches).hear)
        patches.wrap(module.Quart, "__call__", watch)
    else:
        patches.wrap(module.Litestar, "__call__", Watch(_has_litestar_ours, None))


class Watch:
    """What is called in place of an application's ``__call__``; as wrapt has it."""

    def __init__(self, is_watched: Any, prepare: Any) -> None:
        """Leave alone what *is_watched*; tell *prepare* of each other application."""
        self._is_watched, self._prepare = is_watched, prepare
        self._around: Any = None

    def __call__(self, wrapped: Any, app: Any, args: Any, kwargs: Any) -> Any:
        """Return the coroutine that serves."""
        try:
            # uvicorn calls without anything, to see whether it has a factory here.
            if len(args) == _SIGNATURE and not kwargs and not self._is_watched(app):
                scope, receive, send = args
                if self._prepare is not None:
                    self._prepare(app)
                around = self._middleware()
                scope[_TARGET] = wrapped
                return around(scope, receive, send)
        except Exception as error:
            told("asgi", error)
        return wrapped(*args, **kwargs)

    def _middleware(self) -> Any:
        """One for all applications: it keeps nothing of any."""
        if self._around is None:
            from probekit.integrations.asgi import ProbekitMiddleware

            self._around = ProbekitMiddleware(_inside)
        return self._around


async def _inside(scope: Any, receive: Any, send: Any) -> None:
    """What our middleware stands in front of: the application that was called."""
    await scope.pop(_TARGET)(scope, receive, send)


def _has_quart_ours(app: Any) -> bool:
    """Whether our middleware is around *app*'s own ``asgi_app``."""
    layer = vars(app).get("asgi_app")
    for _ in range(_DEPTH):
        if layer is None:
            return False
        if _is_ours(type(layer)):
            return True
        layer = getattr(layer, "app", None) or getattr(layer, "asgi_app", None)
    return False


def _has_litestar_ours(app: Any) -> bool:
    """Whether our middleware is named in *app*'s."""
    return any(_is_ours(getattr(each, "middleware", each)) for each in app.middleware)


def _is_ours(kind: Any) -> bool:
    from probekit.integrations.asgi import ProbekitMiddleware

    return isinstance(kind, type) and issubclass(kind, ProbekitMiddleware)


class _QuartSignals:
    """Hears of each application's requests; see ``quart_hooks``."""

    def __init__(self, patches: Patches) -> None:
        from weakref import WeakSet

        self._heard: WeakSet[Any] = WeakSet()
        patches.on_undo(self._leave)

    def hear(self, app: Any) -> None:
        """Listen to *app*, once."""
        if app not in self._heard:
            from probekit.integrations.quart_hooks import attach

            attach(app)
            self._heard.add(app)

    def _leave(self) -> None:
        from probekit.integrations.quart_hooks import detach

        for app in list(self._heard):
            detach(app)
