"""The settings, and where each came from."""

import difflib
import os
from collections.abc import Iterator, Mapping

from probekit.cli.checks.finding import Finding, ok, warn
from probekit.settings import Settings
from probekit.settings.environment import VARIABLES

_PREFIX = "PROBEKIT_"
# Those of the launcher, which are no settings.
_LAUNCHER = ("PROBEKIT_AUTOSTART", "PROBEKIT_LIBRARIES")


def check_settings(settings: Settings) -> "Iterator[Finding]":
    """One line for each setting that somebody gave; defaults in one line."""
    shown = settings.shown()
    defaults = []
    for name, origin in settings.origins.items():
        if name == "high_security":
            continue  # shown with ``scrub``
        if origin == "default":
            defaults.append(name)
        else:
            yield ok("setting", f"{name} = {shown[name]} (from {origin})")
    if defaults:
        yield ok("settings", f"by default: {', '.join(defaults)}")
    if settings.disabled:
        yield warn("setting", "probekit is switched off here: nothing is recorded")


def check_environment(environ: "Mapping[str, str]" = os.environ) -> "Iterator[Finding]":
    """Variables that look like ours and that nobody reads: a slip of the pen."""
    known = [*(variable for variable, _ in VARIABLES.values()), *_LAUNCHER]
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield warn("environment", f"{name} is no variable of probekit{hint}")
