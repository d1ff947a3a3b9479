"""The setting ``PROBEKIT``: ``configure``'s arguments, and ``exclude``."""

import inspect
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from django.conf import settings

from probekit.errors import ConfigError
from probekit.integrations.http import excluded_paths
from probekit.runtime import configure

_EXCLUDE = "exclude"  # the one that is the middleware's own

_applied: "Mapping[str, Any] | None" = None


def apply_settings() -> None:
    """Call ``configure`` with what ``PROBEKIT`` says, once for each such dict.

    Without the setting nothing is called: the environment or the project's own code
    may have configured, or will.

    Raises:
        ConfigError: A name is unknown or a value breaks its rule.

    """
    global _applied
    given = _given()
    if given is None or given is _applied:
        return
    arguments = {name: value for name, value in given.items() if name != _EXCLUDE}
    known = inspect.signature(configure).parameters
    for name in arguments:
        if name not in known:
            near = get_close_matches(str(name), [*known, _EXCLUDE], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"PROBEKIT: unknown name {name!r}{hint}")
    configure(**arguments)
    _applied = given


def excluded() -> "re.Pattern[str] | None":
    """Return the pattern of the paths that are not recorded.

    Raises:
        ConfigError: ``PROBEKIT["exclude"]`` holds what is no path pattern.

    """
    return excluded_paths((_given() or {}).get(_EXCLUDE, ()))


def _given() -> "Mapping[str, Any] | None":
    given = getattr(settings, "PROBEKIT", None)
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"PROBEKIT must be a dict, got {type(given).__name__}")
    return given
