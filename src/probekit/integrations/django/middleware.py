"""The middleware, for WSGI and for ASGI; see the package."""

import re
import sys
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.signals import got_request_exception

from probekit.integrations.django.database import (
    DatabaseMetrics,
    has_databases,
    watch_connections,
)
from probekit.integrations.django.quick import SCHEME, GetResponse, watched
from probekit.integrations.django.routes import template_of
from probekit.integrations.django.settings import apply_settings, excluded
from probekit.integrations.django.visit import (
    Guest,
    Visit,
    Watched,
    ended,
    environ_of,
    exchange_of,
)
from probekit.integrations.http import share_trace_ids
from probekit.integrations.ledger import LEDGER
from probekit.notice import notice
from probekit.recording.errors.seen import forget_mark
from probekit.recording.quiet import is_disabled


class ProbekitMiddleware:
    """Times and counts requests; to be named first in ``MIDDLEWARE``.

    Records ``http.server.request.duration`` (to the last chunk of a streamed answer),
    ``http.server.active_requests``, ``probekit.http.server.db.duration`` and
    ``probekit.http.server.db.operations``, and exceptions that no view handled.
    """

    sync_capable = True
    async_capable = True

    def __new__(cls, get_response: GetResponse) -> Any:
        """Stand in front of *get_response*; apply the setting ``PROBEKIT``.

        Returns:
            A plain function where there is a short way: Python calls it without the
            way through ``__call__``, and every request would pay.

        Raises:
            ConfigError: The setting cannot be used.
            MiddlewareNotUsed: ``PROBEKIT_DISABLE=1`` is set.

        """
        if is_disabled():
            raise MiddlewareNotUsed("PROBEKIT_DISABLE is set")
        self = super().__new__(cls)
        is_plain = self._set_up(get_response)
        if is_plain and cls is ProbekitMiddleware:
            return watched(get_response, self._database, self._answer)
        return self

    def __init__(self, get_response: GetResponse) -> None:
        """Do nothing: ``__new__`` has done it, whatever a subclass does here."""

    def _set_up(self, get_response: GetResponse) -> bool:
        self.get_response = get_response
        self._excluded: re.Pattern[str] | None = excluded()
        LEDGER.open()
        self._database = DatabaseMetrics() if has_databases() else None
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        # Django alone knows the scheme where there is no environ to ask, and where it
        # is told to believe a proxy.
        self._asks_django = self._is_async or bool(settings.SECURE_PROXY_SSL_HEADER)
        apply_settings()
        share_trace_ids()
        watch_connections()
        got_request_exception.connect(
            note_exception,
            weak=False,
            dispatch_uid="probekit",
        )
        # Without exclusions and proxies the way is a short one.
        return self._excluded is None and not self._asks_django

    def __call__(self, request: Any) -> Any:
        """Answer as Django does; a coroutine where Django wants one.

        Threads:
            Any; never waits by itself.

        """
        return self._answer(request)

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
        return ended(visit, request, response)

    async def _serve(self, request: Any) -> Any:
        visit = self._begun(request)
        if visit is None:
            return await self.get_response(request)
        try:
            response = await self.get_response(request)
        except BaseException as error:
            visit.fail(error)
            raise
        return ended(visit, request, response)

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


def note_exception(*, request: Any = None, **_facts: Any) -> None:
    """Record what no view handled; a receiver of Django's signal."""
    try:
        error = sys.exc_info()[1]
        exchange = None if request is None else exchange_of(request)
        if error is None:
            return
        if exchange is None:
            forget_mark(error)  # an earlier one's: this request is not watched
        else:
            exchange.routed(template_of(request))
            exchange.note(error)
    except Exception:
        notice("django-error", "probekit: a Django error could not be recorded")
