"""Syslog messages (RFC 5424) over UDP, TCP and TLS."""
