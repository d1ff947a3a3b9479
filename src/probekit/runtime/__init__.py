"""The one global that says so: what ``configure`` made of this process.

Everything else in the house is passed in. Comes here: the public functions, and the
command line for ``service``.
"""

from probekit.runtime.client import Client, configure, flush, shutdown, status
from probekit.runtime.status import Status

__all__ = ["Client", "Status", "configure", "flush", "shutdown", "status"]
