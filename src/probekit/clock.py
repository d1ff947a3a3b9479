"""Where time comes from; passed in everywhere, so that tests can move it.

Durations are read from the monotonic clock in seconds, moments from the wall clock
in integer nanoseconds since 1970. Nobody else calls the ``time`` module.
"""

import time

from probekit.hints import Protocol


class Clock(Protocol):
    """Two readings and a wait."""

    def wall_ns(self) -> int:
        """Wall clock, nanoseconds since 1970-01-01 UTC."""

    def monotonic_s(self) -> float:
        """Monotonic clock, seconds; comparable between processes of one boot."""


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    def wall_ns(self) -> int:
        """Wall clock, nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Monotonic clock, seconds; comparable between processes of one boot."""
        return time.monotonic()


SYSTEM_CLOCK = SystemClock()


def cell_start_ns(moment_ns: int, width_s: float) -> int:
    """Start of the grid cell that holds *moment_ns*.

    Windows close on this grid, so that all hosts cut time at the same places.

    Args:
        moment_ns: A moment, nanoseconds since 1970.
        width_s: Width of a cell, seconds, above 0.

    Returns:
        Nanoseconds since 1970, at most *moment_ns*.

    Example:
        >>> cell_start_ns(12_300_000_000, 10.0)
        10000000000

    """
    width_ns = int(width_s * 1e9)
    return moment_ns - moment_ns % width_ns
