"""aiohttp's client: ``ClientSession._request``, under all of its methods."""

from types import ModuleType
from typing import Any

from probekit.integrations.context import inject, trace_headers
from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.http import Target, begin
from probekit.integrations.libraries.patching import Patches


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``aiohttp.client``."""

    async def request(wrapped: Any, session: Any, args: Any, kwargs: Any) -> Any:
        with begin("aiohttp", _target, module, session, args, kwargs) as exchange:
            if trace_headers():
                kwargs = _injected(module, kwargs)
            response = await wrapped(*args, **kwargs)
            exchange.answered(response, "status")
        return response

    patches.wrap(module.ClientSession, "_request", request)


def _target(module: ModuleType, session: Any, args: Any, kwargs: Any) -> Target:
    method = args[0] if args else kwargs["method"]
    url = module.URL(args[1] if len(args) > 1 else kwargs["str_or_url"])
    base = getattr(session, "_base_url", None)
    if base is not None and not url.absolute:
        url = base.join(url)
    return Target(str(method).upper(), url.scheme, url.host or "", url.port, url)


def _injected(module: ModuleType, kwargs: Any) -> Any:
    try:
        headers = module.CIMultiDict(kwargs.get("headers") or ())
        inject(headers)
        return {**kwargs, "headers": headers}
    except Exception as error:
        told("aiohttp", error)
        return kwargs
