"""Five errors in a row switch a part of ours off for five minutes."""

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.notice import in_words, notice
from probekit.passing import let_pass

LIMIT = 5
OFF_S = 300.0
_NEVER = float("-inf")  # not off


class Patience:
    """Counts internal errors of one part and decides when it had enough.

    Attributes:
        errors: All internal errors so far.
        last_error: The newest one in words; empty when there was none.

    Example:
        >>> patience = Patience("example", "an example")
        >>> for _ in range(5):
        ...     patience.failed(ValueError("no"))
        >>> patience.allows()
        False

    """

    def __init__(self, part: str, doing: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Name the *part* for the log, and what it was *doing*."""
        self.errors = 0
        self.last_error = ""
        self._part = part
        self._doing = doing
        self._clock = clock
        self._in_a_row = 0
        self._off_until_s = _NEVER

    def allows(self) -> bool:
        """Whether the part may work now."""
        off_until_s = self._off_until_s
        return off_until_s == _NEVER or self._clock.monotonic_s() >= off_until_s

    def worked(self) -> None:
        """Say that it worked."""
        self._in_a_row = 0

    def failed(self, error: Exception) -> None:
        """Count an internal error; the fifth in a row switches the part off.

        Raises:
            BaseException: It is none: a handler of the application's raised it.

        """
        let_pass(error)
        self.errors += 1
        self._in_a_row += 1
        self.last_error = in_words(error)
        if self._in_a_row < LIMIT:
            notice(f"{self._part}-error", f"{self._doing} failed: {self.last_error}")
            return
        self._in_a_row = 0
        self._off_until_s = self._clock.monotonic_s() + OFF_S
        notice(
            f"{self._part}-off",
            f"{self._doing} failed {LIMIT} times in a row and rests for "
            f"{OFF_S / 60:.0f} minutes: {self.last_error}",
        )
