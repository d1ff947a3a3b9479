"""Trace and span ids from the kernel.

The SDK draws from ``random``: an application that seeds it, or a fork that no hook of
Python saw, would give two processes the same ids.
"""

import os

from opentelemetry.sdk.trace.id_generator import IdGenerator


class KernelIds(IdGenerator):
    """Draws ids with ``os.urandom``."""

    def generate_trace_id(self) -> int:
        """128 random bits, not all zero."""
        return _drawn(16)

    def generate_span_id(self) -> int:
        """64 random bits, not all zero."""
        return _drawn(8)

    def is_trace_id_random(self) -> bool:
        """Yes: others may sample by its bits."""
        return True


def _drawn(count_bytes: int) -> int:
    while True:
        found = int.from_bytes(os.urandom(count_bytes), "big")
        if found:
            return found
