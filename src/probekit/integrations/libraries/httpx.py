"""httpx: ``send`` of both clients, through which every request goes."""

from types import ModuleType
from typing import Any

from probekit.integrations.context import inject
from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.http import Target, begin
from probekit.integrations.libraries.patching import Patches


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``httpx``."""
    patches.wrap(module.Client, "send", _send)
    patches.wrap(module.AsyncClient, "send", _send_async)


def _send(wrapped: Any, _client: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs.get("request")
    with begin("httpx", _target, request) as exchange:
        _inject(request)
        response = wrapped(*args, **kwargs)
        exchange.answered(response, "status_code")
    return response


async def _send_async(wrapped: Any, _client: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs.get("request")
    with begin("httpx", _target, request) as exchange:
        _inject(request)
        response = await wrapped(*args, **kwargs)
        exchange.answered(response, "status_code")
    return response


def _target(request: Any) -> Target:
    url = request.url
    return Target(request.method.upper(), url.scheme, url.host, url.port, url)


def _inject(request: Any) -> None:
    try:
        inject(request.headers)
    except Exception as error:
        told("httpx", error)
