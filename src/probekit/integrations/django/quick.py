"""The short way through the middleware: WSGI, nothing excluded, no proxy to believe.

It does what ``Visit`` does in its methods, without their frames, and no more: what is
not plain about a request takes the long way, which is ``ProbekitMiddleware``'s.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeAlias

from django.http import HttpResponse

from probekit.integrations.django.database import DatabaseMetrics, Tally
from probekit.integrations.django.routes import TEMPLATES, template_of
from probekit.integrations.django.visit import Visit, ended, ended_anyway, tell
from probekit.integrations.record import GONE
from probekit.integrations.wsgi_exchange import DEADLINE, ENTER, KEY, UNHEARD
from probekit.notice import notice
from probekit.recording.registry import REGISTRY

SCHEME = "wsgi.url_scheme"  # what only an environ of WSGI has
GetResponse: TypeAlias = "Callable[[Any], Any]"


def watched(
    get_response: GetResponse,
    database: "DatabaseMetrics | None",
    answer: GetResponse,
) -> GetResponse:
    """Make *get_response* one with a clock around it.

    Args:
        get_response: Django's next one inward.
        database: Takes the requests' statements; None in a project without databases.
        answer: The long way, for requests that are not WSGI's or known already.

    """

    def serve(request: Any) -> Any:
        environ = request.META
        if SCHEME not in environ or KEY in environ:
            return answer(request)
        visit = Visit()
        try:
            visit.began_s = began_s = perf_counter()
            visit.environ = environ
            visit.request, visit.tally = request, None
            visit.status = visit.route = visit.error = visit.mount = ""
            visit.streamed = visit.traced = False
            if began_s > DEADLINE[()] and REGISTRY.due():
                visit.ended_s = UNHEARD
            else:
                visit.ended_s = 0.0
                if REGISTRY.tracing is not None or "HTTP_TRACEPARENT" in environ:
                    visit.join_trace(environ)
                environ[KEY] = visit
                ENTER(visit)
                if database is not None:
                    visit.tally = Tally(database)
        except Exception:
            visit.give_up()
            notice("django-begin", "probekit: a request could not be watched")
        try:
            response = get_response(request)
        except BaseException as error:
            visit.fail(error)
            raise
        try:
            # Most are of this class; to ask for an attribute of theirs costs more.
            if (
                visit.ended_s
                or visit.traced
                or (type(response) is not HttpResponse and response.streaming)
            ):
                return ended(visit, request, response)
            ended_s = perf_counter()
            visit.status = response.status_code
            match = request.resolver_match
            if match is not None:
                visit.route = TEMPLATES.get(match.route) or template_of(request)
            visit.method = environ["REQUEST_METHOD"]
            visit.scheme = environ[SCHEME]
            visit.protocol = environ["SERVER_PROTOCOL"]
            del environ[KEY]
        except Exception as error:  # no response of Django's, or names are left out
            return ended_anyway(visit, request, response, error)
        visit.environ, visit.request = GONE, None
        visit.ended_s = ended_s
        if visit.tally is not None:
            tell(visit.tally, request, visit.route)
        return response

    return serve
