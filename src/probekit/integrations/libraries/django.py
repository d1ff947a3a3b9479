"""Django: the middleware outside of all others, if it is not in the settings.

Django builds its chain of middleware once, when a server starts. It is built with ours
in it; the settings themselves stay as they are. See ``django_middleware`` for how it
is switched off.
"""

import sys
from types import ModuleType
from typing import Any

from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.patching import Patches

_OURS = "probekit.integrations.django.ProbekitMiddleware"
_UNASKED = "probekit.integrations.libraries.django_middleware"


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``django.core.handlers.base``."""

    def load(wrapped: Any, _handler: Any, args: Any, kwargs: Any) -> Any:
        settings = module.settings
        listed = _without_ours(settings)
        if listed is None:
            return wrapped(*args, **kwargs)
        settings.MIDDLEWARE = [f"{_UNASKED}.Unasked", *listed]
        try:
            return wrapped(*args, **kwargs)
        finally:
            settings.MIDDLEWARE = listed

    patches.wrap(module.BaseHandler, "load_middleware", load)
    patches.on_undo(lambda: _switch(on=False))
    _switch(on=True)  # a chain that was built before the libraries were put back


def _switch(*, on: bool) -> None:
    made = sys.modules.get(_UNASKED)  # else no chain was built
    if made is not None:
        made.switch(on=on)


def _without_ours(settings: Any) -> Any:
    """The middleware in the settings; None where ours is among it."""
    try:
        listed = settings.MIDDLEWARE
        return None if _OURS in listed else listed
    except Exception as error:
        told("django", error)
        return None
