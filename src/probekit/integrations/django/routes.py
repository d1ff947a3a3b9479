"""Django's matched route as one template."""

import re
from typing import Any

_LIMIT = 2048  # routes remembered
TEMPLATES: "dict[object, str]" = {}  # by route, as Django has it
_ANCHOR = re.compile(r"(?:^|(?<=/))\^")


def template_of(request: Any) -> str:
    """Return the template of the route that *request* matched; empty for none."""
    match = request.resolver_match
    if match is None:
        return ""
    route = match.route
    return TEMPLATES.get(route) or _remembered(route)


def _remembered(route: object) -> str:
    if not isinstance(route, str):
        return ""
    template = _told(route)
    if len(TEMPLATES) < _LIMIT:
        TEMPLATES[route] = template
    return template


def _told(route: str) -> str:
    """*route* with its slash, without the anchors of regular expressions.

    Example:
        >>> _told("orders/<int:number>/"), _told("api/^users/(?P<name>[^/]+)/$")
        ('/orders/<int:number>/', '/api/users/(?P<name>[^/]+)/')

    """
    return "/" + _ANCHOR.sub("", route).removesuffix("$").removesuffix(r"\Z")
