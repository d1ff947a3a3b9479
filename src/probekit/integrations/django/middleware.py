"""The middleware, for WSGI and for ASGI; see the package."""

import re
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.signals import got_request_exception

from probekit.integrations.django.database import watch_connections
from probekit.integrations.django.routes import template_of
from probekit.integrations.django.settings import apply_settings, excluded
from probekit.integrations.django.visit import Metrics, Visit, exchange_of
from probekit.integrations.http import share_trace_ids
from probekit.notice import notice
from probekit.recording.quiet import is_disabled

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
        self._proxied = bool(settings.SECURE_PROXY_SSL_HEADER)
        self._metrics = Metrics()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
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
        return visit.answered(response)

    async def _serve(self, request: Any) -> Any:
        visit = self._begun(request)
        if visit is None:
            return await self.get_response(request)
        try:
            response = await self.get_response(request)
        except BaseException as error:
            visit.fail(error)
            raise
        return visit.answered(response)

    def _begun(self, request: Any) -> "Visit | None":
        try:
            pattern = self._excluded
            if pattern is not None and pattern.match(request.path_info):
                return None
            return Visit(request, self._metrics, proxied=self._proxied)
        except Exception:
            notice("django-begin", "probekit: a request could not be watched")
            return None


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
