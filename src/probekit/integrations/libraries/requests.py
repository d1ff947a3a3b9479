"""requests: ``Session.send``, through which every request goes."""

from types import ModuleType
from typing import Any

from probekit.integrations.context import inject
from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.http import Target, begin, target_of
from probekit.integrations.libraries.patching import Patches


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``requests.sessions``."""
    patches.wrap(module.Session, "send", _send)


def _send(wrapped: Any, _session: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs.get("request")
    with begin("requests", _target, request) as exchange:
        _inject(request)
        response = wrapped(*args, **kwargs)
        exchange.answered(response, "status_code")
    return response


def _target(request: Any) -> Target:
    return target_of(request.method, request.url)


def _inject(request: Any) -> None:
    try:
        inject(request.headers)
    except Exception as error:
        told("requests", error)
