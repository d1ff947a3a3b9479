"""How many series a process may make; what comes beyond adds up in overflow series.

Attribute values and metric names come from the application and may have no end: a
user's number among them would otherwise cost memory for ever. Functions are not asked:
the code bounds them, and they have a limit of their own.
"""

SETS_LIMIT = 2000  # attribute sets of one instrument, as OpenTelemetry's SDKs have it
PROCESS_SETS_LIMIT = 10_000
NAMES_LIMIT = 10_000
OBSERVED_LIMIT = 10_000


class Allowance:
    """The places for attribute sets and for names; asked where a new one comes only.

    Several threads that ask at once may exceed a limit by their number.

    Attributes:
        sets_limit: Attribute sets of one instrument before its overflow series.
        process_sets_limit: Attribute sets of all instruments together, likewise.
        names_limit: Metric names, before the series that all further ones share.
        observed_limit: Series that callbacks of ``observe`` may read; what they say
            of further ones is lost.
    """

    __slots__ = (
        "_taken",
        "names_limit",
        "observed_limit",
        "process_sets_limit",
        "sets_limit",
    )

    def __init__(self) -> None:
        """Start with every place free."""
        self.sets_limit = SETS_LIMIT
        self.process_sets_limit = PROCESS_SETS_LIMIT
        self.names_limit = NAMES_LIMIT
        self.observed_limit = OBSERVED_LIMIT
        self._taken: list[None] = []  # appending is atomic, adding to a number is not

    def is_used_up(self) -> bool:
        """Whether no instrument may have a further attribute set."""
        return len(self._taken) >= self.process_sets_limit

    def take(self) -> None:
        """Take the place of one attribute set; any thread.

        Example:
            >>> allowance = Allowance()
            >>> allowance.process_sets_limit = 1
            >>> allowance.take()
            >>> allowance.is_used_up()
            True

        """
        self._taken.append(None)
