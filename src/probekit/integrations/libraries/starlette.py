"""Starlette and FastAPI: the middleware outside of all others, if it is not there."""

from types import ModuleType
from typing import Any

from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.patching import Patches


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``starlette.applications`` or ``fastapi.applications``."""

    def build(wrapped: Any, app: Any, args: Any, kwargs: Any) -> Any:
        stack = wrapped(*args, **kwargs)
        try:
            return _watched(patches, app, stack)
        except Exception as error:
            told("starlette", error)
            return stack

    for name in ("Starlette", "FastAPI"):
        kind = getattr(module, name, None)
        # FastAPI's module imports Starlette as well; its own module patches that.
        if kind is not None and kind.__module__ == module.__name__:
            patches.wrap(kind, "build_middleware_stack", build)


def _watched(patches: Patches, app: Any, stack: Any) -> Any:
    from probekit.integrations.asgi import ProbekitMiddleware

    if any(each.cls is ProbekitMiddleware for each in app.user_middleware):
        return stack  # as the application wants it
    watched = ProbekitMiddleware(stack)

    def outermost(scope: Any, receive: Any, send: Any) -> Any:
        return (watched if patches.active else stack)(scope, receive, send)

    return outermost
