"""One deadline for a whole request, shared by all of its steps."""

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import RetryLater


class Deadline:
    """Counts down from the moment it is made.

    Args:
        seconds: How long everything together may take; above 0.
        what: For the error's text, ``"tcp://127.0.0.1:5170"``.
        clock: Only its monotonic reading is used.
    """

    __slots__ = ("_clock", "_end_s", "_seconds", "_what")

    def __init__(
        self, seconds: float, what: str = "", *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """Start counting."""
        self._clock = clock
        self._seconds = seconds
        self._what = what
        self._end_s = clock.monotonic_s() + seconds

    def left_s(self) -> float:
        """Seconds left, always above 0.

        Raises:
            RetryLater: Nothing is left.

        """
        left = self._end_s - self._clock.monotonic_s()
        if left <= 0:
            raise RetryLater(
                f"{self._what} did not finish within {self._seconds:g} s".strip(),
            )
        return left

    def within(self, seconds: float) -> "Deadline":
        """A shorter deadline inside this one, for one of its steps."""
        return Deadline(min(seconds, self.left_s()), self._what, clock=self._clock)
