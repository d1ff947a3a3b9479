"""Prometheus: pulled at ``/metrics``, pushed by remote write or to a Pushgateway.

``wsgi_app`` and ``asgi_app`` mount ``/metrics`` into an application of yours.
"""

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

    Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
    Asgi = Callable[..., Awaitable[None]]

_MOUNTS = "probekit.integrations.prometheus"  # it knows the runtime; this room does not


def wsgi_app(*, aliases: bool = False) -> "Wsgi":
    """A WSGI application that shows what this process's buffer knows.

    Every worker shows the same: the totals of all processes, as of the last closed
    window.

    Args:
        aliases: Whether to add the stock names of process metrics.

    Returns:
        An application for ``DispatcherMiddleware``, a Django ``path`` or a server.

    """
    return cast("Wsgi", importlib.import_module(_MOUNTS).wsgi_app(aliases=aliases))


def asgi_app(*, aliases: bool = False) -> "Asgi":
    """The same for ASGI; the buffer is read on a thread, not in the event loop."""
    return cast("Asgi", importlib.import_module(_MOUNTS).asgi_app(aliases=aliases))
