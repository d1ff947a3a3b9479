"""The plugin convention: ranges, states, one line with performance data; pure.

``SERVICE STATE - text | 'label'=value[unit];warn;crit;min;max``. What would end the
line, begin the performance data or begin the long output is replaced in the text.
"""

import math
import re
from dataclasses import dataclass

from probekit.exporters.text import number

OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
#: Units that the convention knows; others are left out.
UNITS = {"s": "s", "ms": "ms", "us": "us", "By": "B", "%": "%"}
_RANGE = re.compile(r"(@?)(?:(~|[^:]*):)?([^:]*)")
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Range:
    """An alert range as Nagios writes it: ``[@][start:][end]``.

    Attributes:
        text: As it was given.
        low: Values below raise an alert.
        high: Values above raise an alert.
        inside: True to raise an alert inside instead, both ends included.
    """

    text: str
    low: float
    high: float
    inside: bool = False

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Parse *text*.

        Args:
            text: ``10`` (0 to 10 is fine), ``10:``, ``~:10``, ``10:20``, ``@10:20``.

        Raises:
            ValueError: Names the text and the rule.

        Example:
            >>> Range.parse("10:").alerts(9.5), Range.parse("@1:2").alerts(3.0)
            (True, False)

        """
        found = _RANGE.fullmatch(text.strip())
        wrong = ValueError(
            f"{text[:40]!r} is no range; want [@][start:][end], as in 10, 10:, ~:10, "
            f"10:20 or @10:20"
        )
        if found is None or not text.strip():
            raise wrong
        at, start, end = found.groups()
        try:
            low = -math.inf if start == "~" else float(start or 0)
            high = float(end) if end else math.inf
        except ValueError:
            raise wrong from None
        if math.isnan(low) or math.isnan(high) or not (start or end):
            raise wrong
        if low > high:
            raise ValueError(f"{text[:40]!r} is no range: its start is above its end")
        return cls(text.strip(), low, high, bool(at))

    def alerts(self, value: float) -> bool:
        """Whether *value* raises an alert."""
        return (self.low <= value <= self.high) == self.inside


@dataclass(frozen=True, slots=True)
class Perf:
    """One piece of performance data.

    Attributes:
        label: Without a quote or an equals sign.
        value: Finite.
        unit: One of the convention's, ``c`` for a counter, or empty.
        warn: The warning range, as text.
        crit: The critical range, as text.
        low: Smallest possible value; None when there is none.
    """

    label: str
    value: float
    unit: str = ""
    warn: str = ""
    crit: str = ""
    low: "float | None" = None

    def __str__(self) -> str:
        """``'label'=value[unit];warn;crit;min``, empty ends left out."""
        label = self.label.replace("'", "''").replace("=", "_")
        low = "" if self.low is None else plain(self.low)
        text = f"'{label}'={plain(self.value)}{self.unit}"
        return f"{text};{self.warn};{self.crit};{low}".rstrip(";")


def judge(value: float, warn: "Range | None", crit: "Range | None") -> int:
    """The state that a value means.

    Example:
        >>> judge(7.0, Range.parse("5"), Range.parse("10"))
        1

    """
    if crit is not None and crit.alerts(value):
        return CRITICAL
    if warn is not None and warn.alerts(value):
        return WARNING
    return OK


def plain(value: float) -> str:
    """A finite number without an exponent: not every reader knows one.

    Example:
        >>> plain(3.0), plain(0.00025), plain(1e20)
        ('3', '0.00025', '100000000000000000000')

    """
    whole = number(value)
    if isinstance(whole, int) or abs(value) >= 10.0**15:
        return str(int(value))
    digits = _DIGITS if abs(value) >= 1e-6 else 18  # noqa: PLR2004 - a microsecond
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def line(text: str, perf: "list[Perf] | tuple[Perf, ...]" = ()) -> str:
    """One line of output.

    Example:
        >>> line("queue is 3", [Perf("depth", 3.0, warn="5", low=0.0)])
        "queue is 3 | 'depth'=3;5;;0"

    """
    said = inert(text)
    return f"{said} | {' '.join(map(str, perf))}" if perf else said


def inert(text: str) -> str:
    r"""*text* on one line, without what the convention reads as a command.

    Example:
        >>> inert("a|b\nc\\n")
        'a/b c/n'

    """
    clean = text.replace("|", "/").replace("\\", "/")
    if not clean.isprintable():
        clean = "".join(c if c.isprintable() else " " for c in clean)
    return clean.strip()
