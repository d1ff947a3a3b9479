"""The middleware that is put into Django's chain unasked, and can be taken out of it.

Django builds its chain once. What stands in it stays; but it can change its class, and
so costs nothing while it is on, and one call while it is off.
"""

from typing import Any
from weakref import WeakSet

from probekit.integrations.django.middleware import ProbekitMiddleware

_MADE: "WeakSet[ProbekitMiddleware]" = WeakSet()


class Unasked(ProbekitMiddleware):
    """Watches, and is remembered."""

    def __init__(self, get_response: Any) -> None:
        """Stand in front of *get_response*."""
        super().__init__(get_response)
        _MADE.add(self)


class Inert(Unasked):
    """Watches nothing any more."""

    def __call__(self, request: Any) -> Any:
        """Answer as Django does; a coroutine where it wants one."""
        return self.get_response(request)


def switch(*, on: bool) -> None:
    """Switch all that were ever made; requests that are under way end as they began."""
    for each in list(_MADE):
        each.__class__ = Unasked if on else Inert
