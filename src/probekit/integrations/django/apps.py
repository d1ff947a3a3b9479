"""The application ``probekit.integrations.django``: what begins with Django itself."""

from django.apps import AppConfig

from probekit.integrations.django.commands import watch_commands
from probekit.integrations.django.settings import apply_settings
from probekit.recording.quiet import is_disabled


class ProbekitConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Configures probekit before any request, and times management commands."""

    name = "probekit.integrations.django"
    label = "probekit"
    verbose_name = "probekit"

    def ready(self) -> None:
        """Apply the setting ``PROBEKIT`` and watch commands."""
        apply_settings()
        if not is_disabled():
            watch_commands()
