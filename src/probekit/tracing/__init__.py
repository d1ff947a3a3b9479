"""Traces: which are recorded, which are kept, and how spans get into the buffer.

``configure(traces=...)`` opens this room. Its policies are plain data; what imports
OpenTelemetry is loaded when traces are on, and never before.
"""

from probekit.tracing.policy import Policy, Tail

__all__ = ["Policy", "Tail"]
