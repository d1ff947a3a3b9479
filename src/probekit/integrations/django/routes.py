"""Django's matched route as one template."""

import re
from functools import lru_cache
from typing import Any

_ANCHOR = re.compile(r"(?:^|(?<=/))\^")


def template_of(request: Any) -> str:
    """Return the template of the route that *request* matched; empty for none."""
    match = getattr(request, "resolver_match", None)
    route = getattr(match, "route", None)
    return _told(route) if isinstance(route, str) else ""


@lru_cache(maxsize=2048)
def _told(route: str) -> str:
    """*route* with its slash, without the anchors of regular expressions.

    Example:
        >>> _told("orders/<int:number>/"), _told("api/^users/(?P<name>[^/]+)/$")
        ('/orders/<int:number>/', '/api/users/(?P<name>[^/]+)/')

    """
    return "/" + _ANCHOR.sub("", route).removesuffix("$").removesuffix(r"\Z")
