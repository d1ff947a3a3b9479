"""Keeps secrets out of everything that is buffered, shown or logged.

Recording cleans its texts here before they are written; settings and the command line
clean what they show. Standard library only, bounded work, never raises.
"""

from probekit.scrub.address import redacted
from probekit.scrub.names import is_secret_name
from probekit.scrub.patterns import REDACTED
from probekit.scrub.scrubber import Scrubber

__all__ = ["REDACTED", "Scrubber", "is_secret_name", "redacted"]
