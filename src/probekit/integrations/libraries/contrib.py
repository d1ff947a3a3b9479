"""OpenTelemetry's contrib instrumentations, for the libraries that we do not own.

Whichever are installed announce themselves as entry points. Their spans go through the
global tracer provider, ours or the application's; for their metrics see
``contrib_metrics``. One that fails is told and skipped.
"""

import os
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from probekit.notice import notice

_GROUP = "opentelemetry_instrumentor"
_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
# Theirs for what probekit records itself: both would count every call twice.
_OURS = {
    "aiohttp-client", "asgi", "asyncio", "celery", "dbapi", "django", "exceptions",
    "fastapi", "flask", "httpx", "logging", "psycopg", "psycopg2", "psycopg2-binary",
    "pymysql", "redis", "requests", "sqlalchemy", "sqlite3", "starlette",
    "system_metrics", "threading", "urllib", "urllib3", "wsgi",
}  # fmt: skip

if TYPE_CHECKING:
    from probekit.integrations.libraries.contrib_metrics import Meters

_active: "dict[str, Any]" = {}
_meters: "Meters | None" = None  # what those that are active were given


@cache
def _found() -> "dict[str, EntryPoint]":
    return {
        point.name: point
        for point in entry_points(group=_GROUP)
        if point.name not in _OURS
    }


def names() -> "list[str]":
    """Names of the instrumentations that are installed and not ours."""
    return sorted(_found())


def active() -> "list[str]":
    """Names of those that are switched on by us."""
    return sorted(_active)


def activate(chosen: "Iterable[str]") -> None:
    """Switch the *chosen* ones on; never raises.

    Those that the environment names as disabled stay off, as under
    ``opentelemetry-instrument``.
    """
    disabled = os.environ.get(_DISABLED, "").replace(" ", "").split(",")
    for name in chosen:
        if name in _active or name in disabled:
            continue
        try:
            instrumentor = _found()[name].load()()
            if not getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
                instrumentor.instrument(**_providers(instrumentor))
                _active[name] = instrumentor
        except Exception as error:
            notice(
                f"contrib-{name}",
                f"OpenTelemetry's instrumentation of {name} was skipped",
                error,
            )


def _providers(instrumentor: Any) -> "dict[str, Any]":
    """What it is handed, if it takes it; spans find the global provider themselves."""
    global _meters
    patch = getattr(instrumentor, "_instrument", instrumentor.instrument)
    kinds = {each.kind for each in signature(patch).parameters.values()}
    if Parameter.VAR_KEYWORD not in kinds:
        return {}
    if _meters is None:
        from probekit.integrations.libraries.contrib_metrics import provider

        _meters = provider()
    return {} if _meters is None else {"meter_provider": _meters}


def deactivate() -> None:
    """Switch off what :func:`activate` switched on; never raises."""
    global _meters
    while _active:
        name, instrumentor = _active.popitem()
        try:
            instrumentor.uninstrument()
        except Exception as error:
            notice(f"contrib-{name}", f"{name} could not be switched off", error)
    if _meters is not None:
        _meters.retire()
        _meters = None
