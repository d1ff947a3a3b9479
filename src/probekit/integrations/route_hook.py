"""The application's own word on routes, asked carefully."""

from collections.abc import Callable
from typing import Any, TypeAlias

from probekit.patience import Patience

Asked: TypeAlias = "Callable[[Any], str]"


def careful(route_of: "Callable[[Any], str | None] | None") -> "Asked | None":
    """Return what asks *route_of* and answers with an empty text when that fails.

    After five failures in a row it is left alone for five minutes.

    Args:
        route_of: What the application gave; None when it gave nothing.

    """
    if route_of is None:
        return None
    patience = Patience("route-of", "the given route function")

    def ask(request: Any) -> str:
        if not patience.allows():
            return ""
        try:
            route = str(route_of(request) or "")
        except Exception as error:
            patience.failed(error)
            return ""
        patience.worked()
        return route

    return ask
