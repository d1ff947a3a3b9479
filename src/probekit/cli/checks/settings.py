"""The settings, and where each came from."""

from collections.abc import Iterator

from probekit.cli.checks.finding import Finding, ok, warn
from probekit.settings import Settings


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
