"""The route template of a request, from what its framework leaves in the scope.

Litestar leaves the template itself; Starlette and FastAPI leave the route that matched,
or (older ones) only its endpoint, and for mounted applications the path that was
mounted, not its template. The rest is looked up in the router's tree, once for each
route. Nothing here imports a framework; anything unknown is no route.
"""

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TypeAlias

from probekit.integrations.route_hook import careful
from probekit.notice import notice

RouteOf: TypeAlias = "Callable[[MutableMapping[str, Any]], str | None]"
_Found: TypeAlias = "tuple[object, list[tuple[str, re.Pattern[str]]]]"

_LIMIT = 10_000  # routes and endpoints remembered
_DEPTH = 20  # of routers in routers
_PARAMETER = re.compile(r"\\\{[^{}]*?(:path)?\\\}")
_NOT_FOUND = "404"


class Routes:
    """Finds templates; remembers where in the tree each route lies."""

    __slots__ = ("_found", "_route_of")

    def __init__(self, route_of: "RouteOf | None") -> None:
        """Ask *route_of* where no framework has left anything."""
        self._route_of = careful(route_of)
        self._found: dict[int, _Found] = {}

    def template(
        self, scope: "MutableMapping[str, Any]", root: str, status: str
    ) -> str:
        """Return the template of the route that served *scope*; empty for none.

        Args:
            scope: The scope, after the framework's router has seen it.
            root: Its ``root_path`` before that.
            status: The answer's; what a mounted application did not find is no route.

        """
        try:
            return self._template(scope, root, status)
        except Exception as error:
            notice("asgi-route", "probekit: a route could not be read", error)
            return ""

    def _template(self, scope: "Mapping[str, Any]", root: str, status: str) -> str:
        known = scope.get("path_template")
        if known is not None:
            return str(known)
        mount = scope.get("root_path", "")[len(root) :]
        route = scope.get("route")
        if route is None:
            endpoint = scope.get("endpoint")
            if endpoint is None:
                return self._asked(scope)
            if status == _NOT_FOUND and getattr(endpoint, "routes", None):
                return ""  # a mounted application, which has not found it
            return self._in_tree(scope, endpoint, "", root, mount)
        if _is_mount(route) and getattr(route, "app", None) is not None:
            # What an application mounted there has not found is no route at all.
            if status == _NOT_FOUND and getattr(route, "routes", None):
                return ""
            mount = mount[: -len(_mounted(mount, route))] if mount else ""
            path = f"{route.path}/{{path:path}}"
        else:
            path = _own_path(scope, route)
        return self._in_tree(scope, route, path, root, mount) if mount else path

    def _asked(self, scope: "Mapping[str, Any]") -> str:
        return self._route_of(scope) if self._route_of is not None else ""

    def _in_tree(
        self,
        scope: "Mapping[str, Any]",
        wanted: object,
        path: str,
        root: str,
        mount: str,
    ) -> str:
        """The template with its mount points: where *wanted* lies in the tree."""
        held = self._found.get(id(wanted))
        if held is None:
            held = wanted, list(_places(scope.get("router"), wanted))
            if len(self._found) < _LIMIT:
                self._found[id(wanted)] = held  # held, so that its id stays its own
        places = held[1]
        if len(places) == 1:
            return places[0][0]
        full = scope["path"][len(root) :] if root else scope["path"]
        for template, pattern in places:
            if pattern.fullmatch(full):
                return template
        return mount + path


def _own_path(scope: "Mapping[str, Any]", route: Any) -> str:
    """The route's path within its application."""
    # FastAPI keeps included routers as they are; the path with all prefixes is here.
    fastapi = scope.get("fastapi")
    if fastapi is not None:
        context = fastapi.get("effective_route_context")
        if context is not None and getattr(context, "original_route", None) is route:
            return str(context.path)
    return str(getattr(route, "path", ""))


def _is_mount(route: Any) -> bool:
    # Most are none: it is dear to ask for what is not there.
    return not hasattr(route, "endpoint") and hasattr(route, "routes")


def _mounted(mount: str, route: Any) -> str:
    """The last part of *mount*: what *route* itself has matched."""
    count = str(route.path).count("/")
    return "/" + "/".join(mount.rsplit("/", count)[1:]) if count else ""


def _places(
    router: Any,
    wanted: object,
    prefix: str = "",
    depth: int = 0,
) -> "Iterator[tuple[str, re.Pattern[str]]]":
    """Every place of *wanted*, a route or an endpoint, in the tree of *router*."""
    for route in getattr(router, "routes", None) or ():
        path = getattr(route, "path", None)
        if not isinstance(path, str):
            continue
        target = getattr(route, "app" if _is_mount(route) else "endpoint", None)
        if route is wanted or target is wanted:
            whole = prefix + path + ("/{path:path}" if _is_mount(route) else "")
            yield whole, _pattern(whole)
        elif _is_mount(route) and depth < _DEPTH:
            yield from _places(route, wanted, prefix + path, depth + 1)


def _pattern(template: str) -> "re.Pattern[str]":
    return re.compile(
        _PARAMETER.sub(
            lambda found: ".*" if found[1] else "[^/]+",
            re.escape(template),
        ),
    )
