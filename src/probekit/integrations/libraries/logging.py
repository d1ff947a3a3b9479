"""logging: every record from WARNING on, whatever handlers there are.

A handler at the root would keep ``logging.basicConfig`` and the handler of last resort
from doing their work; so the call of the handlers is patched, and comes first.
"""

import logging
from types import ModuleType
from typing import Any

from probekit.integrations.libraries.patching import Patches
from probekit.integrations.logging import take

LEVEL = logging.WARNING


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``logging``."""
    patches.wrap(module.Logger, "callHandlers", _call_handlers)


def _call_handlers(wrapped: Any, _logger: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    record = args[0] if args else kwargs.get("record")
    if getattr(record, "levelno", 0) >= LEVEL:
        take(record)
    return result
