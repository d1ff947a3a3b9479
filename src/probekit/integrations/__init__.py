"""Frameworks and libraries that probekit knows how to watch; one module each."""
