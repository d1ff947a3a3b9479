"""The clock: windows are named by it."""

import time
from collections.abc import Callable, Iterator

from probekit.cli import paint
from probekit.cli.checks.finding import Finding, fail, ok, warn
from probekit.clock import SYSTEM_CLOCK, Clock

_EARLIEST_NS = 1_704_067_200_000_000_000  # 2024-01-01: before this software was written
_FUTURE_S = 60.0
_LOOK_S = 0.05
_DRIFT_S = 0.01


def check_clock(
    last_end_unix_ns: int,
    clock: Clock = SYSTEM_CLOCK,
    sleep: "Callable[[float], None]" = time.sleep,
) -> "Iterator[Finding]":
    """Compare the wall clock with the past, with the buffer, with the monotonic one.

    Args:
        last_end_unix_ns: End of the newest window; 0 when there is none.
        clock: Both clocks.
        sleep: Waits so many seconds; 50 ms in all.

    """
    now_ns = clock.wall_ns()
    if now_ns < _EARLIEST_NS:
        yield fail("clock", "the wall clock stands before 2024; backends refuse that")
        return
    ahead_s = (last_end_unix_ns - now_ns) / 1e9
    if ahead_s > _FUTURE_S:
        yield fail(
            "clock",
            f"the newest window ends {paint.age(ahead_s)} in the future: "
            "the wall clock was ahead, or is behind now",
        )
        return
    began_s = clock.monotonic_s()
    sleep(_LOOK_S)
    wall_s = (clock.wall_ns() - now_ns) / 1e9
    drift_s = wall_s - (clock.monotonic_s() - began_s)
    if abs(drift_s) > _DRIFT_S:
        yield warn(
            "clock", f"the wall clock jumped by {drift_s:+.3f} s while we looked"
        )
    else:
        yield ok("clock", "wall and monotonic clock agree; no window in the future")
