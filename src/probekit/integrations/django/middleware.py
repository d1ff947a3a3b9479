"""The middleware, for WSGI and for ASGI; see the package."""

import re
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeAlias

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.signals import got_request_exception

from probekit.integrations.django.database import (
    DatabaseMetrics,
    Tally,
    has_databases,
    watch_connections,
)
from probekit.integrations.django.routes import TEMPLATES, template_of
from probekit.integrations.django.settings import apply_settings, excluded
from probekit.integrations.django.visit import (
    Guest,
    Visit,
    Watched,
    environ_of,
    exchange_of,
)
from probekit.integrations.http import share_trace_ids
from probekit.integrations.ledger import LEDGER
from probekit.integrations.record import GONE
from probekit.integrations.wsgi_exchange import DEADLINE, ENTER, KEY, UNHEARD
from probekit.notice import notice
from probekit.recording.quiet import is_disabled
from probekit.recording.registry import REGISTRY

SCHEME = "wsgi.url_scheme"  # what only an environ of WSGI has
GetResponse: TypeAlias = "Callable[[Any], Any]"


class ProbekitMiddleware:
    """Times and counts requests; to be named first in ``MIDDLEWARE``.

    Records ``http.server.request.duration`` (to the last chunk of a streamed answer),
    ``http.server.active_requests``, ``probekit.http.server.db.duration`` and
    ``probekit.http.server.db.operations``, and exceptions that no view handled.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        """Stand in front of *get_response*; apply the setting ``PROBEKIT``.

        Raises:
            ConfigError: The setting cannot be used.
            MiddlewareNotUsed: ``PROBEKIT_DISABLE=1`` is set.

        """
        if is_disabled():
            raise MiddlewareNotUsed("PROBEKIT_DISABLE is set")
        self.get_response = get_response
        self._excluded: re.Pattern[str] | None = excluded()
        LEDGER.open()
        self._database = DatabaseMetrics() if has_databases() else None
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        # Without exclusions and proxies the way is a short one.
        self._is_plain = self._excluded is None
        # Django alone knows the scheme where there is no environ to ask, and where it
        # is told to believe a proxy.
        self._asks_django = self._is_async or bool(settings.SECURE_PROXY_SSL_HEADER)
        self._is_plain = self._is_plain and not self._asks_django
        apply_settings()
        share_trace_ids()
        watch_connections()
        got_request_exception.connect(
            note_exception,
            weak=False,
            dispatch_uid="probekit",
        )

    def __call__(self, request: Any) -> Any:
        """Answer as Django does; a coroutine where Django wants one.

        Threads:
            Any; never waits by itself.

        """
        environ = request.META
        if not self._is_plain or SCHEME not in environ or KEY in environ:
            return self._answer(request)
        # What ``begin``, ``_ended`` and ``end`` do, without their frames.
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
                if self._database is not None:
                    visit.tally = Tally(self._database)
        except Exception:
            notice("django-begin", "probekit: a request could not be watched")
        try:
            response = self.get_response(request)
        except BaseException as error:
            visit.fail(error)
            raise
        try:
            if visit.ended_s or visit.traced or response.streaming:
                return _ended(visit, request, response)
            ended_s = perf_counter()
            visit.status = response.status_code
            match = request.resolver_match
            if match is not None:
                visit.route = TEMPLATES.get(match.route) or template_of(request)
            visit.method = environ["REQUEST_METHOD"]
            visit.scheme = environ["wsgi.url_scheme"]
            visit.protocol = environ.get("SERVER_PROTOCOL", "")
            environ.pop(KEY, None)
            visit.environ, visit.request = GONE, None
            if ended_s > DEADLINE[()] and REGISTRY.due():
                ended_s = UNHEARD
            visit.ended_s = ended_s
            if visit.tally is not None:
                visit.tally.record(request, visit.route)
        except Exception:  # no response of Django's
            notice("django-answer", "probekit: an answer could not be looked at")
            visit.end()
        return response

    def _answer(self, request: Any) -> Any:
        if self._is_async:
            return self._serve(request)
        visit = self._begun(request)
        if visit is None:
            return self.get_response(request)
        try:
            response = self.get_response(request)
        except BaseException as error:
            visit.fail(error)
            raise
        return _ended(visit, request, response)

    async def _serve(self, request: Any) -> Any:
        visit = self._begun(request)
        if visit is None:
            return await self.get_response(request)
        try:
            response = await self.get_response(request)
        except BaseException as error:
            visit.fail(error)
            raise
        return _ended(visit, request, response)

    def _begun(self, request: Any) -> "Watched | None":
        try:
            pattern = self._excluded
            if pattern is not None and pattern.match(request.path_info):
                return None
            outer = exchange_of(request)
            if outer is not None:
                return Guest(request, outer, self._database)
            ask_django = self._asks_django or SCHEME not in request.META
            environ = environ_of(request) if ask_django else request.META
            visit = Visit()
            visit.request, visit.tally = request, None
            visit.enter(environ, self._database)
            return visit
        except Exception:
            notice("django-begin", "probekit: a request could not be watched")
            return None


def _ended(visit: Watched, request: Any, response: Any) -> Any:
    """Return Django's response, its end recorded; that of a stream comes later."""
    try:
        visit.status = str(response.status_code)
        match = request.resolver_match
        if match is not None:
            visit.route = TEMPLATES.get(match.route) or template_of(request)
        if response.streaming:
            return visit.stream(response)
    except Exception:  # no response of Django's
        notice("django-answer", "probekit: an answer could not be looked at")
    visit.end()
    return response


def note_exception(*, request: Any = None, **_facts: Any) -> None:
    """Record what no view handled; a receiver of Django's signal."""
    try:
        error = sys.exc_info()[1]
        exchange = None if request is None else exchange_of(request)
        if exchange is not None and error is not None:
            exchange.routed(template_of(request))
            exchange.note(error)
    except Exception:
        notice("django-error", "probekit: a Django error could not be recorded")
