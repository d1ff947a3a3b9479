"""Where the open window begins and ends when the wall clock cannot be trusted.

Lengths come from the monotonic clock. A small step back keeps the start and lets the
windows run ahead of the wall clock, which they then slowly wait for; a large one opens
a new epoch, whose windows may overlap earlier ones; a jump forward or a sleep is a
hole between two windows, never a long window.
"""

from probekit.clock import Clock, cell_start_ns

LARGE_STEP_NS = 60 * 10**9
_NOTICEABLE_NS = 10**6  # a slewing clock moves less than this in a window
_FORWARD_JUMP_NS = 10**9
_CATCH_UP = 0.9  # windows that run ahead are shorter by a tenth at most


class Timeline:
    """The start of the open window, and the rule for its end.

    Attributes:
        start_ns: Start of the open window, nanoseconds since 1970.
        epoch: Rises by one at each large step back.
    """

    __slots__ = ("_clock", "_monotonic_s", "_wall_ns", "epoch", "start_ns")

    def __init__(
        self,
        clock: Clock,
        interval_s: float,
        *,
        last_end_ns: int = 0,
        epoch: int = 0,
    ) -> None:
        """Open a window now, on the grid, behind the last one that was committed."""
        self._clock = clock
        now_ns = clock.wall_ns()
        self.epoch = epoch
        self._monotonic_s = clock.monotonic_s()
        self._wall_ns = now_ns
        if last_end_ns - now_ns >= LARGE_STEP_NS:
            self.epoch += 1
            self.start_ns = now_ns
        elif last_end_ns > now_ns:
            self.start_ns = last_end_ns
        else:
            self.start_ns = max(cell_start_ns(now_ns, interval_s), last_end_ns)
            self._monotonic_s -= (now_ns - self.start_ns) / 1e9
            self._wall_ns = self.start_ns

    def elapsed_ns(self) -> int:
        """Age of the open window by the monotonic clock, nanoseconds."""
        return max(0, int((self._clock.monotonic_s() - self._monotonic_s) * 1e9))

    def bounds(self) -> "tuple[int, int, int]":
        """Start, end and epoch of the open window if it were closed now."""
        now_ns, elapsed_ns = self._clock.wall_ns(), self.elapsed_ns()
        step_ns = now_ns - self._wall_ns - elapsed_ns
        lead_ns = self.start_ns - self._wall_ns
        start_ns = self.start_ns
        if step_ns <= -LARGE_STEP_NS or lead_ns - step_ns >= 2 * LARGE_STEP_NS:
            return now_ns - max(1, elapsed_ns), now_ns, self.epoch + 1
        if step_ns < -_NOTICEABLE_NS or step_ns > _FORWARD_JUMP_NS:
            end_ns = start_ns + elapsed_ns
        elif lead_ns > 0:
            end_ns = max(now_ns, start_ns + int(_CATCH_UP * elapsed_ns))
        else:
            end_ns = now_ns
        return start_ns, max(end_ns, start_ns + 1), self.epoch

    def oldest_ns(self) -> int:
        """Frames written at or after this moment belong to the open window."""
        return self._clock.wall_ns() - self.elapsed_ns()

    def turn(self, end_ns: int, epoch: int) -> None:
        """Open the next window where the last one ended."""
        now_ns = self._clock.wall_ns()
        self.start_ns = end_ns if epoch == self.epoch and end_ns > now_ns else now_ns
        self.epoch = epoch
        self._wall_ns = now_ns
        self._monotonic_s = self._clock.monotonic_s()
