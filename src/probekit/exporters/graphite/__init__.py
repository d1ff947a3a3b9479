"""Graphite: plaintext over TCP and UDP, pickle over TCP."""
