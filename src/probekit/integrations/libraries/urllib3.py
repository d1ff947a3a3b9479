"""urllib3: the pool manager (a call with its redirects) and, below it, the pool."""

from types import ModuleType
from typing import Any

from probekit.integrations.context import inject, trace_headers
from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.http import Target, begin, target_of
from probekit.integrations.libraries.patching import Patches

_HEADERS_INDEX = 3  # HTTPConnectionPool.urlopen(method, url, body, headers, ...)


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``urllib3.poolmanager`` or ``urllib3.connectionpool``."""
    if module.__name__ == "urllib3.poolmanager":
        patches.wrap(module.PoolManager, "urlopen", _urlopen)
    else:
        patches.wrap(module.HTTPConnectionPool, "urlopen", _urlopen)


def _urlopen(wrapped: Any, pool: Any, args: Any, kwargs: Any) -> Any:
    with begin("urllib3", _target, pool, args, kwargs) as exchange:
        if trace_headers():
            args, kwargs = _injected(pool, args, kwargs)
        response = wrapped(*args, **kwargs)
        exchange.answered(response, "status")
    return response


def _target(pool: Any, args: Any, kwargs: Any) -> Target:
    method = args[0] if args else kwargs["method"]
    url = args[1] if len(args) > 1 else kwargs["url"]
    if hasattr(pool, "scheme"):  # a pool of connections to one host
        whole = _Whole(pool, url)
        return Target(str(method).upper(), pool.scheme, pool.host, pool.port, whole)
    return target_of(method, url)


class _Whole:
    """The address of what a pool is asked for: put together only for a span."""

    __slots__ = ("_pool", "_url")

    def __init__(self, pool: Any, url: Any) -> None:
        self._pool, self._url = pool, url

    def __str__(self) -> str:
        pool, url = self._pool, str(self._url)
        if not url.startswith("/"):
            return url  # whole already, as for a proxy
        host = f"[{pool.host}]" if ":" in pool.host else pool.host
        port = f":{pool.port}" if pool.port else ""
        return f"{pool.scheme}://{host}{port}{url}"


def _injected(pool: Any, args: Any, kwargs: Any) -> "tuple[Any, Any]":
    positional = len(args) > _HEADERS_INDEX
    try:
        given = args[_HEADERS_INDEX] if positional else kwargs.get("headers")
        given = pool.headers if given is None else given
        headers = given.copy() if hasattr(given, "copy") else dict(given)
        inject(headers)
        if positional:
            behind = args[_HEADERS_INDEX + 1 :]
            return (*args[:_HEADERS_INDEX], headers, *behind), kwargs
        return args, {**kwargs, "headers": headers}
    except Exception as error:
        told("urllib3", error)
        return args, kwargs
