"""TCP, UDP and HTTP: bytes in, acknowledged or an error of :mod:`probekit.errors`."""
