"""What is kept of one request until the draining thread has counted it."""

from typing import Any

from probekit.integrations.http import Answer
from probekit.recording.underway.running import Underway

GONE: "dict[str, Any]" = {}  # the environ of requests that are over


class Record:
    """A request, as far as it is known; slots are filled by whoever serves it.

    There are no defaults in the class and no constructor, because every request pays:
    CPython keeps the place of a slot in the instruction that reads it, but looks a
    class's defaults up anew each time.

    Attributes:
        began_s: When it began, ``perf_counter()`` seconds.
        ended_s: When it ended, set last of all; 0.0 while it is under way, negative
            where it is over and not to be recorded.
        environ: The request while it is under way, empty afterwards.
        route: The template that matched, or the framework's rule; empty for none.
        status: Of the answer, beginning with three digits; empty as long as there is
            none.
        error: Type of the exception that nobody handled; empty for none.
        method: Of a request that is over, as the server has it.
        scheme: The same.
        protocol: The same; HTTP/1.1.
    """

    __slots__ = (
        "began_s",
        "ended_s",
        "environ",
        "error",
        "method",
        "protocol",
        "route",
        "scheme",
        "status",
    )

    began_s: float
    ended_s: float
    environ: "dict[str, Any]"
    error: str
    method: str
    protocol: str
    route: Any
    scheme: str
    status: Any

    def entry(self) -> "Underway | None":
        """Say what is to be entered among the operations under way, if anything."""
        return None

    def key(self) -> "tuple[str, str]":
        """Say under what it counts as active: method and scheme."""
        environ = self.environ
        if environ is GONE:
            return self.method, self.scheme
        return environ["REQUEST_METHOD"], environ["wsgi.url_scheme"]

    def template(self) -> str:
        """Say the route template; empty for none."""
        route = self.route
        return route if route.__class__ is str else str(route.rule)

    def answer(self) -> Answer:
        """Say what became of it, so far."""
        environ = self.environ
        if environ is GONE:
            method, scheme, protocol = self.method, self.scheme, self.protocol
        else:
            method, scheme = environ["REQUEST_METHOD"], environ["wsgi.url_scheme"]
            protocol = environ.get("SERVER_PROTOCOL", "")
        status = str(self.status)[:3]
        return method, scheme, self.template(), status, protocol, self.error
