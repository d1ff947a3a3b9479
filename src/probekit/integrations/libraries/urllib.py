"""The standard library's urllib: ``OpenerDirector.open``, redirects included."""

from types import ModuleType
from typing import Any

from probekit.integrations.context import trace_headers
from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.http import Target, begin, target_of
from probekit.integrations.libraries.patching import Patches


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``urllib.request``."""

    def open_(wrapped: Any, _opener: Any, args: Any, kwargs: Any) -> Any:
        with begin("urllib", _target, args, kwargs) as exchange:
            headers = trace_headers()
            if headers:
                args, kwargs = _injected(module, headers, args, kwargs)
            try:
                response = wrapped(*args, **kwargs)
            except module.HTTPError as error:  # an answer, in urllib's way
                exchange.answered(error, "code")
                raise
            exchange.answered(response, "status")
        return response

    patches.wrap(module.OpenerDirector, "open", open_)


def _target(args: Any, kwargs: Any) -> "Target | None":
    asked = args[0] if args else kwargs["fullurl"]
    if isinstance(asked, str):
        posts = (args[1] if len(args) > 1 else kwargs.get("data")) is not None
        target = target_of("POST" if posts else "GET", asked)
    else:
        target = target_of(asked.get_method(), asked.full_url)
    return target if target.scheme in {"http", "https"} else None


def _injected(
    module: ModuleType,
    headers: "dict[str, str]",
    args: Any,
    kwargs: Any,
) -> "tuple[Any, Any]":
    """The same call with the headers in its request; a text becomes a request."""
    try:
        asked = args[0] if args else kwargs["fullurl"]
        if isinstance(asked, str):
            data = args[1] if len(args) > 1 else kwargs.get("data")
            asked = module.Request(asked, data)
        for name, value in headers.items():
            if name.capitalize() not in asked.headers:  # the application's own stays
                asked.add_unredirected_header(name, value)
        if args:
            return (asked, *args[1:]), kwargs
        return args, {**kwargs, "fullurl": asked}
    except Exception as error:
        told("urllib", error)
        return args, kwargs
