"""What is given up while probekit costs more than it may; the governor sets it.

Counts of calls, errors and sums stay exact whatever stands here.
"""

NO_LIMIT = 1 << 62
SPARING_S = 60.0  # between two samples of one problem


class Thrift:
    """How much the registry economises.

    Attributes:
        one_trace_in: One trace in so many is kept, the same ones in every process;
            spans of the others are counted as lost to ``overhead``.
        sets_limit: Attribute sets of one instrument, whatever the settings say;
            further ones go to the overflow series.
        few_samples: Whether a problem has one sample a minute and no more.
    """

    __slots__ = ("few_samples", "one_trace_in", "sets_limit")

    def __init__(self) -> None:
        """Nothing is given up."""
        self.one_trace_in = 1
        self.sets_limit = NO_LIMIT
        self.few_samples = False

    def keeps(self, trace_id: str) -> bool:
        """Whether spans of the trace are kept.

        Example:
            >>> thrift = Thrift()
            >>> thrift.one_trace_in = 16
            >>> thrift.keeps("4bf92f3577b34da6a3ce929d0e0e4720")
            True
            >>> thrift.keeps("4bf92f3577b34da6a3ce929d0e0e4736")
            False

        """
        return self.one_trace_in == 1 or int(trace_id[-8:], 16) % self.one_trace_in == 0
