"""One call is counted once, however many patched layers it passes: the outermost wins.

``requests`` runs over ``urllib3``, SQLAlchemy over a driver; all are patched. The first
one that a call reaches opens a layer, those below see it and stay out. Layers are of a
kind: a database call inside an HTTP call is counted as well.
"""

import sys
from contextvars import ContextVar, Token

from probekit.recording.quiet import suppressed

LayerVar = ContextVar["Layer | None"]

HTTP: LayerVar = ContextVar("probekit_http_layer", default=None)
DATABASE: LayerVar = ContextVar("probekit_database_layer", default=None)


class Layer:
    """An open call; closed exactly once.

    Attributes:
        is_open: False after the call has ended. A task or thread that was started
            inside the call inherits the variable and must not stay silent for ever.
    """

    __slots__ = ("_token", "_variable", "is_open")

    def __init__(self, variable: LayerVar) -> None:
        """Open; everything below sees it."""
        self.is_open = True
        self._variable = variable
        self._token: Token[Layer | None] = variable.set(self)

    def close(self) -> None:
        """End the call."""
        self.is_open = False
        try:
            self._variable.reset(self._token)
        except ValueError:  # ended in another context (a generator's, a greenlet's)
            self._variable.set(None)


def enter(variable: LayerVar) -> "Layer | None":
    """Open a layer, or None when the call is not to be counted here.

    It is not when a layer above counts it already, inside ``probekit.suppress()``,
    and where OpenTelemetry's own exporters asked for silence.
    """
    above = variable.get()
    if above is not None and above.is_open:
        return None
    if suppressed() or _opentelemetry_is_silent():
        return None
    return Layer(variable)


def _opentelemetry_is_silent() -> bool:
    context = sys.modules.get("opentelemetry.context")
    if context is None:
        return False
    return bool(
        context.get_value("suppress_instrumentation")
        or context.get_value("suppress_http_instrumentation")
    )
