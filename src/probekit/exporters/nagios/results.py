"""Records as passive check results; pure.

A series is a service: its name and its attributes, ``shop.orders plan:pro``. Its state
follows from the thresholds that were given for its metric; without any it is OK, and
its performance data are what it is for. Events go to the service ``events`` with a
state of their severity, exceptions to ``exceptions`` as CRITICAL.
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import windowed
from probekit.exporters.nagios.plugin import (
    CRITICAL,
    OK,
    UNITS,
    WARNING,
    WORDS,
    Perf,
    Range,
    judge,
    line,
    plain,
)
from probekit.exporters.naming import Names, Naming
from probekit.exporters.text import word
from probekit.model import (
    SEVERITY_ERROR,
    SEVERITY_WARN,
    Batch,
    Event,
    Point,
    Series,
    Snapshot,
)

EVENTS, EXCEPTIONS = "events", "exceptions"
LONGEST = 120  # NSCA has 128 bytes for a service's description
# Nagios' own illegal_object_name_chars, the separators of its command file, and all
# that is not ASCII: a description then has as many bytes as characters.
_FORBIDDEN = re.compile(r"[^ -~]+|[`~!$%^&*\"|'<>?,()=;\\]+")
_SERVICE = Naming(_FORBIDDEN, limit=LONGEST)
_TIMES = frozenset({"sum", "min", "max", "p50", "p90", "p95", "p99"})
_WORDS_LIMIT = 1000
#: Which figure the thresholds of a metric judge when none is named.
_JUDGED = {"histogram": "p95"}


@dataclass(frozen=True, slots=True)
class Result:
    """One passive result.

    Attributes:
        service: The service's description.
        code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
        output: One line with performance data.
        time_unix_s: When it was so.
    """

    service: str
    code: int
    output: str
    time_unix_s: int


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The ranges that judge one figure of one metric."""

    warn: "Range | None" = None
    crit: "Range | None" = None


_NO_LIMITS = Thresholds()


class NagiosResults:
    """Makes results of batches.

    Args:
        services: Patterns of metric names (``shop.*``); only those are sent.
        thresholds: ``metric`` or ``metric:figure`` → its ranges.
    """

    __slots__ = ("_names", "_places", "_services", "_thresholds")

    def __init__(
        self,
        services: "Sequence[str]" = ("*",),
        thresholds: "Mapping[str, Thresholds] | None" = None,
    ) -> None:
        """Start with an empty memory."""
        self._services = tuple(services)
        self._thresholds = dict(thresholds or {})
        self._names = Names(LONGEST)
        self._places: SeriesCache[str] = SeriesCache(self._place)

    def learn(self, snapshot: Snapshot) -> None:
        """Name every series in the order of first appearance."""
        for point in snapshot.points:
            self._places.of(point)

    def of(self, batch: Batch) -> "list[Result]":
        """The results of *batch*, oldest first.

        Raises:
            Rejected: A number is not finite.

        """
        found = []
        for window in batch.windows:
            time_s = window.end_unix_ns // 10**9
            for point in window.points:
                service = self._places.of(point)
                if service:
                    found.append(self._judged(service, point, time_s))
        return found + [_happened(event) for event in batch.events]

    def _place(self, series: Series) -> str:
        if not any(fnmatch.fnmatchcase(series.name, p) for p in self._services):
            return ""
        text = "".join(f" {key}:{word(value)}" for key, value in series.attributes)
        original = (series.name, series.kind, series.unit, series.attributes)
        service = _SERVICE.of(series.name + text).strip() or _SERVICE.replacement
        return self._names.unique(service, original)

    def _judged(self, service: str, point: Point, time_s: int) -> Result:
        series = point.series
        figures = dict(windowed(point))
        if series.kind in {"gauge", "up_down_counter"}:
            judged = "value"
        else:
            judged = _JUDGED.get(series.kind, "value")
        code, perf, shown = OK, [], judged if judged in figures else "count"
        for figure, value in figures.items():
            limits = self._limits(series.name, figure, judged) or _NO_LIMITS
            state = judge(value, limits.warn, limits.crit)
            if state > code:
                code, shown = state, figure
            perf.append(_perf(series, figure, value, limits))
        said = f"{series.name} {shown} is {plain(figures[shown])}"
        return Result(service, code, line(f"{WORDS[code]} - {said}", perf), time_s)

    def _limits(self, name: str, figure: str, judged: str) -> "Thresholds | None":
        if not self._thresholds:
            return None
        limits = self._thresholds.get(f"{name}:{figure}")
        if limits is None and figure == judged:
            limits = self._thresholds.get(name)
        return limits


def _perf(series: Series, figure: str, value: float, limits: Thresholds) -> Perf:
    unit = UNITS.get(series.unit, "")
    if series.kind == "histogram" and figure not in _TIMES:
        unit = ""
    if figure == "total":
        unit = "c"
    return Perf(
        figure,
        value,
        unit,
        limits.warn.text if limits.warn else "",
        limits.crit.text if limits.crit else "",
    )


def _happened(event: Event) -> Result:
    attributes = event.attributes
    time_s = event.time_unix_ns // 10**9
    if "exception.type" in attributes:
        kind = word(attributes["exception.type"])
        said = f"{kind}: {word(attributes.get('exception.message', ''))}"
        text = f"{WORDS[CRITICAL]} - {said}"[:_WORDS_LIMIT]
        return Result(EXCEPTIONS, CRITICAL, line(text), time_s)
    code = OK
    if event.severity >= SEVERITY_WARN:
        code = CRITICAL if event.severity >= SEVERITY_ERROR else WARNING
    pairs = "".join(f" {key}={word(value)}" for key, value in attributes.items())
    body = f": {event.body}" if event.body else ""
    text = f"{WORDS[code]} - {event.name}{body}{pairs}"[:_WORDS_LIMIT]
    return Result(EVENTS, code, line(text), time_s)


def cut(text: str, limit_bytes: int) -> bytes:
    r"""*text* as UTF-8 in at most *limit_bytes*, cut between characters.

    Example:
        >>> cut("a\u20acb", 3)
        b'a'

    """
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit_bytes:
        return encoded
    return encoded[:limit_bytes].decode("utf-8", "ignore").encode()
