"""FastAPI's own telemetry, around which our middleware may stand.

Newer FastAPI opens a span for each request, outside of its middleware and regardless
of what is current there. Where it does, that one is the request's span: FastAPI hangs
its spans of endpoints and dependencies under it. Nothing here imports FastAPI.
"""

import sys
from collections.abc import Callable, MutableMapping
from typing import Any

from probekit.integrations.context import Carried, capture
from probekit.notice import notice

_DEPTH = 20  # of middleware around the application
_OBSERVED = "fastapi.telemetry"  # in the scope of what FastAPI watches already
_SILENT = frozenset({"NoOpTracerProvider", "ProxyTracerProvider"})


def native_of(app: Any) -> Any:
    """Return the FastAPI application with telemetry of its own behind *app*, or None.

    Args:
        app: What our middleware stands in front of: the application, or other
            middleware that names its next one ``app``.

    """
    fastapi = sys.modules.get("fastapi")
    if fastapi is None:
        return None
    for _ in range(_DEPTH):
        if isinstance(app, fastapi.FastAPI):
            return app if hasattr(app, "_native_telemetry") else None
        app = getattr(app, "app", None)
        if app is None:
            break
    return None


def opens_span(native: Any, scope: "MutableMapping[str, Any]") -> bool:
    """Whether *native* is going to open a span for *scope*, with our provider."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or _OBSERVED in scope:
        return False
    try:
        config = native._telemetry  # noqa: SLF001 - it has no public word for it
        ours = trace.get_tracer_provider()
        theirs = config["tracer_provider"]
        if not config["tracing"] or not (theirs is None or theirs is ours):
            return False
        if type(ours).__name__ in _SILENT:
            return False
        exclude = config.get("exclude")
        return exclude is None or not exclude(scope)
    except Exception as error:
        notice("asgi-native", "probekit: FastAPI's telemetry was not understood", error)
        return False


class Left:
    """The span that is left to somebody further in, as far as it is known.

    Errors come to us when that span is not the current one any more; theirs it is.
    """

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        """Know nothing yet."""
        self._inside: Carried | None = None

    def look(self) -> None:
        """Remember what is current; to be called further in: from ``send``."""
        if self._inside is None:
            self._inside = capture()

    def within(self, note: "Callable[[], object]") -> None:
        """Call *note* as if further in."""
        inside = self._inside
        if inside is None:
            note()
            return
        take_off = inside.put_on()
        try:
            note()
        finally:
            take_off()
