"""What did the user ask for? Code, environment, file and defaults become one object.

``runtime`` and the command line come here. Nothing is opened or started, no other
room is imported, and every wrong value is one ``ConfigError`` that names the
setting, where it came from, the value without its secrets, and the rule.
"""

from probekit.model import Retention
from probekit.scrub import redacted
from probekit.settings.load import is_disabled, load
from probekit.settings.model import Limits, ScrubSettings, Settings
from probekit.settings.place import default_buffer, state_folder

__all__ = [
    "Limits",
    "Retention",
    "ScrubSettings",
    "Settings",
    "default_buffer",
    "is_disabled",
    "load",
    "redacted",
    "state_folder",
]
