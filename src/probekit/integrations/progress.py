"""Requests that have not ended: what the heartbeat says of them.

Read from the pump's thread while the request's own thread goes on; the answers are as
good as that allows, and the application's code is not called for them.
"""

from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from probekit.recording.underway.running import LONG_S, Operation, interrupted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probekit.model import AttributeValue


_WERKZEUG = "werkzeug.request"  # where Werkzeug leaves the request, its route with it
_ROUTED = frozenset({"path_template", "route", "endpoint"})  # left by ASGI's routers


class Exchange(Protocol):
    """A request as it is recorded, of any framework."""

    began_s: float
    ended_s: float

    @property
    def environ(self) -> "Mapping[str, Any]":
        """As WSGI has it."""


def underway(exchange: "Exchange", longest_s: float) -> "Operation | None":
    """Describe *exchange*, if it began before *longest_s*; see ``running.Underway``."""
    began_s = exchange.began_s
    if began_s > longest_s or exchange.ended_s:
        return None
    return _described(exchange, began_s)


def tell_interrupted(exchange: "Exchange", error: BaseException) -> None:
    """Record that *error*, which is no error, has ended a long request."""
    operation = underway(exchange, perf_counter() - LONG_S)
    if operation is not None:
        interrupted(operation, error)


def _described(exchange: "Exchange", began_s: float) -> Operation:
    method = exchange.environ.get("REQUEST_METHOD", "")
    route = _route_of(exchange)
    attributes: dict[str, AttributeValue] = {"http.request.method": method}
    if route:
        attributes["http.route"] = route
    name = f"{method} {route}".strip()
    return Operation("request", name, began_s, attributes, entry=id(exchange))


def _route_of(exchange: Any) -> str:
    """The route, as far as the framework's router has come; empty before it."""
    if exchange.route:
        return str(exchange.template())
    request = getattr(exchange, "request", None)
    if request is not None and hasattr(request, "resolver_match"):
        from probekit.integrations.django.routes import template_of

        return template_of(request)
    scope = getattr(exchange, "_scope", None)
    if scope is not None:
        if _ROUTED.isdisjoint(scope):
            return ""
        return str(exchange._routes.template(scope, exchange._root, ""))  # noqa: SLF001
    environ = exchange.environ
    bottle = environ.get("bottle.route")
    rule = getattr(environ.get(_WERKZEUG), "url_rule", None)
    if rule is None:
        return str(getattr(bottle, "rule", ""))
    return str(exchange.mount_of(rule) + rule.rule)
