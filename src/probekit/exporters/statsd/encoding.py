"""StatsD lines: what a window's numbers are in a protocol without time; pure.

- counter: ``name:delta|c``.
- gauge: ``name:value|g``. A sign makes a gauge relative, so a negative value is sent as
  ``name:0|g`` and ``name:-4|g``, together in one datagram.
- up-down counter: its running total as a gauge; where the buffer does not know the
  total, the delta as a relative gauge (``+n|g``, ``-n|g``).
- histogram: timings (``ms``; every server knows them, ``h`` is a counter to some).
  Values in ``s`` become milliseconds, others stay as they are, negative ones become 0.
  Up to ``samples`` values stand for all, each for an equal share (``@rate``), so that
  servers that weigh by rate and servers that do not see the same distribution. The
  number is exact, minimum and maximum are exact, each other value is within 5 %, and
  the sum is an estimate. For DogStatsD they may be histograms (``h``) or distributions
  (``d``) instead, in their own unit and, if wished, many values in a line.
- events: see ``events``.

Characters that the protocol needs are replaced in names, keys and values, so nobody's
attribute can add a second record; two series that would share a name are kept apart by
a hash.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from probekit.errors import Rejected
from probekit.exporters.cache import SeriesCache
from probekit.exporters.naming import Names, Naming
from probekit.exporters.statsd.events import (
    LONGEST_EVENT_BYTES,
    TAG_KEY,
    TAG_VALUE,
    event_lines,
)
from probekit.exporters.text import encodable, number, word
from probekit.histogram import Histogram
from probekit.model import Batch, Point, Series

TagStyle: TypeAlias = Literal["path", "dogstatsd", "graphite"]
TAG_STYLES: "tuple[TagStyle, ...]" = ("path", "dogstatsd", "graphite")
ValueType: TypeAlias = Literal["ms", "h", "d"]
VALUE_TYPES: "tuple[ValueType, ...]" = ("ms", "h", "d")
SAMPLES = 32
_NAME_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]+")
_STEP_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]+")  # one step of a path: no dots
_COUNTER = b"|c"  # one object, as many series have no tags: it is in the CPU's cache
_MS_PER = {"s": 1000.0}


@dataclass(frozen=True, slots=True)
class Place:
    """What never changes of a series' lines: ``head:value|type|@rate|tail``.

    Attributes:
        head: The name.
        tail: Tags.
        scale: What a histogram's values are multiplied by.
        before: What is before a counter's delta, encoded; None for other kinds.
        behind: What is behind it.
    """

    head: str
    tail: str
    scale: float
    before: "bytes | None"
    behind: bytes


class StatsdLines:
    """Encodes batches.

    Args:
        tags: Where attributes go: ``path`` (``name.key.value``), ``dogstatsd``
            (``|#key:value``) or ``graphite`` (``name;key=value``).
        prefix: Put before every name, as it stands.
        samples: Most values sent for one histogram of one window.
        histograms: How a histogram's values are sent: ``ms`` timings, or DogStatsD's
            ``h`` histograms and ``d`` distributions.
        packed_bytes: Longest line of several values (``name:1:2:3|d``); 0 for one
            value a line, which every server understands.
        events: Whether events are sent, as DogStatsD's events and service checks.
    """

    __slots__ = (
        "_events",
        "_middles",
        "_names",
        "_naming",
        "_packed_bytes",
        "_places",
        "_samples",
        "_tags",
        "_type",
    )

    def __init__(
        self,
        *,
        tags: TagStyle = "path",
        prefix: str = "",
        samples: int = SAMPLES,
        histograms: ValueType = "ms",
        packed_bytes: int = 0,
        events: bool = False,
    ) -> None:
        """Start with an empty memory."""
        self._type = histograms
        self._packed_bytes = packed_bytes
        self._events = events
        self._tags = tags
        self._naming = Naming(_NAME_FORBIDDEN, prefix=prefix)
        self._samples = samples
        self._names = Names()
        self._places: SeriesCache[Place] = SeriesCache(self._place)
        # Scale → inner bin → its middle's text; a few thousand at most.
        self._middles: dict[float, dict[int, str]] = {}

    def chunks(self, batch: Batch, limit_bytes: int = 0) -> "list[bytes]":
        """Lines in order, without line ends; lines that belong together in one chunk.

        Args:
            batch: Its windows, and its events where they are sent.
            limit_bytes: Longest chunk; 0 for any length.

        Raises:
            Rejected: A number is not finite, or a chunk is longer than allowed.

        """
        found: list[bytes] = []
        known = _WHOLE.get
        for window in batch.windows:
            points = window.points
            for point, place in zip(points, self._places.each(points), strict=True):
                value, before = point.value, place.before
                if before is None or isinstance(value, Histogram):
                    found += [text.encode() for text in self._point(place, point)]
                else:
                    text = known(value) or _count(value)
                    found.append(before + text + place.behind)
        _check(found, limit_bytes)
        if self._events and batch.events:
            limit = limit_bytes or LONGEST_EVENT_BYTES
            lines = event_lines(batch, limit, self._naming.prefix)
            happened = [line.encode("utf-8", "replace") for line in lines]
            _check(happened, limit)
            found += happened
        return found

    def _point(self, place: Place, point: Point) -> "list[str]":
        value, kind = point.value, point.series.kind
        if isinstance(value, Histogram):
            return self._values(place, value)
        if kind == "up_down_counter":
            if point.total is None or isinstance(point.total, Histogram):
                sign = "" if value < 0 else "+"
                return [f"{place.head}:{sign}{_text(value)}|g{place.tail}"]
            value = point.total
        line = f"{place.head}:{_text(value)}|g{place.tail}"
        return [f"{place.head}:0|g{place.tail}\n{line}" if value < 0 else line]

    def _place(self, series: Series) -> Place:
        name = self._naming.of(series.name)
        head, tail = _WRITERS[self._tags](name, series)
        key = f"{head}\n{tail}"
        unique = self._names.unique(key, (series.name, series.attributes, series.unit))
        head += unique[len(key) :]  # the hash, if one was needed, goes to the name
        # From here on all that is in a line can be encoded.
        head, tail = encodable(head), encodable(tail)
        return Place(
            head,
            tail,
            _MS_PER.get(series.unit, 1.0) if self._type == "ms" else 1.0,
            f"{head}:".encode() if series.kind == "counter" else None,
            f"|c{tail}".encode() if tail else _COUNTER,
        )

    def _values(self, place: Place, histogram: Histogram) -> "list[str]":
        ending = f"|{self._type}{_rate(histogram, self._samples)}{place.tail}"
        texts = self._texts(histogram, place.scale)
        if self._packed_bytes:
            room = self._packed_bytes - len(place.head) - len(ending)
            texts = _joined(texts, room)
        head = place.head
        return [f"{head}:{text}{ending}" for text in texts]

    def _texts(self, histogram: Histogram, scale: float) -> "list[str]":
        """Up to so many rising values that stand for all, each for an equal share.

        The first is the minimum and the last the maximum; the others are the middles
        of the bins that hold the evenly spaced ranks between.
        """
        count, bins = histogram.count, sorted(histogram.bins)
        wanted = min(count, self._samples)
        if not wanted:
            return []
        known = self._middles.setdefault(scale, {})
        found: list[str] = []
        first, last, seen = bins[0], bins[-1], 0
        for bin_ in bins:
            seen += histogram.bins[bin_]
            # Rank i stands in the middle of its share, at (i + 1/2) / wanted of all.
            times = (2 * seen * wanted + count) // (2 * count) - len(found)
            if not times:
                continue
            text = known.get(bin_) if first < bin_ < last else None
            if text is None:
                text = self._scaled(histogram.middle(bin_), scale)
                if first < bin_ < last:  # the outer ones end at minimum and maximum
                    known[bin_] = text
            found += (text,) * times
        found[-1] = self._scaled(histogram.max, scale)
        if wanted > 1:
            found[0] = self._scaled(histogram.min, scale)
        return found

    def _scaled(self, value: float, scale: float) -> str:
        lowest = 0.0 if self._type == "ms" else -math.inf
        return f"{max(value * scale, lowest):.12g}"


def _path(name: str, series: Series) -> "tuple[str, str]":
    steps = [
        _STEP.of(text)
        for key, value in series.attributes
        for text in (key, word(value))
    ]
    return ".".join([name, *steps]), ""


def _dogstatsd(name: str, series: Series) -> "tuple[str, str]":
    tags = ",".join(
        f"{TAG_KEY.of(key)}:{TAG_VALUE.of(word(value))}"
        for key, value in series.attributes
    )
    return name, f"|#{tags}" if tags else ""


def _graphite(name: str, series: Series) -> "tuple[str, str]":
    tags = [
        f"{_STEP.of(key)}={_STEP.of(word(value))}" for key, value in series.attributes
    ]
    return ";".join([name, *tags]), ""


_STEP = Naming(_STEP_FORBIDDEN)
_WRITERS = {"path": _path, "dogstatsd": _dogstatsd, "graphite": _graphite}


def _rate(histogram: Histogram, limit: int) -> str:
    if histogram.count <= limit:
        return ""
    # Servers read the rate with a pattern that knows no exponent.
    share = f"{limit / histogram.count:.24f}".rstrip("0")
    return f"|@{share}"


def _joined(texts: "list[str]", room: int) -> "list[str]":
    """As many values behind one another as fit in *room*; at least one."""
    found: list[str] = []
    for text in texts:
        if found and len(found[-1]) + 1 + len(text) < room:
            found[-1] += f":{text}"
        else:
            found.append(text)
    return found


def _check(chunks: "list[bytes]", limit_bytes: int) -> None:
    if limit_bytes and max(map(len, chunks), default=0) > limit_bytes:
        longest = max(chunks, key=len)
        raise Rejected(
            f"a line of {len(longest)} bytes, {longest[:60]!r}, is longer than a "
            f"datagram of {limit_bytes}",
        )


def _text(value: float) -> str:
    if value - value != 0:  # NaN or an infinity
        raise Rejected(f"StatsD has no number for {value}")
    return str(number(value))


def _count(value: float) -> bytes:
    """The text of a count; remembered when it is small, as most are."""
    text = _text(value).encode()
    if 0 <= value < _REMEMBERED and value % 1 == 0:
        _WHOLE[value] = text
    return text


_REMEMBERED = 1000
_WHOLE: "dict[float, bytes]" = {}
