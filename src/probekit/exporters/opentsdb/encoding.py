"""OpenTSDB's data points, as telnet lines and as JSON objects; pure.

A number of :func:`probekit.exporters.figures.running` is a data point: sums are totals,
as OpenTSDB's ``rate`` wants them, and a histogram is ``name.count``, ``name.sum`` …
Names and tags hold letters, digits and ``-_./`` only; all else becomes an underscore.

A server takes eight tags unless told otherwise. ``host`` and ``service`` come first;
attributes that find no room stand together in the tag ``more``.
"""

import re
from dataclasses import dataclass

from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import running, running_names
from probekit.exporters.naming import Names, Naming
from probekit.exporters.text import host_of, number, word
from probekit.model import Batch, Resource, Series, Snapshot

MOST_TAGS = 8
_LONGEST = 200
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_./-]+")
_WORD = Naming(_FORBIDDEN, limit=_LONGEST)
_NS_PER_S, _NS_PER_MS = 10**9, 10**6


@dataclass(frozen=True, slots=True)
class Place:
    """What never changes of a series' data points."""

    metric: str
    telnet_tags: str
    json_tags: str

    def name(self, figure: str) -> str:
        """The metric of one of its numbers."""
        return f"{self.metric}.{figure}" if figure else self.metric


class OpenTsdbPoints:
    """Encodes batches.

    Args:
        prefix: Put before every metric, as it stands.
        most_tags: How many tags the server takes; 3 or more.
    """

    __slots__ = ("_common", "_most_tags", "_name", "_names", "_places")

    def __init__(self, *, prefix: str = "", most_tags: int = MOST_TAGS) -> None:
        """Start with an empty memory."""
        self._name = Naming(_FORBIDDEN, prefix=prefix, limit=_LONGEST)
        self._most_tags = most_tags
        self._common: dict[str, str] = {}
        self._names = Names()
        self._places: SeriesCache[Place] = SeriesCache(self._place)

    def learn(self, snapshot: Snapshot) -> None:
        """Name every series in the order of the snapshot."""
        self._speak_for(snapshot.resource)
        for point in snapshot.points:
            self._places.of(point)

    def telnet(self, batch: Batch) -> "list[bytes]":
        """``put`` lines without line ends; times in whole seconds.

        Raises:
            Rejected: A number is not finite.

        """
        self._speak_for(batch.resource)
        return [
            f"put {place.name(figure)} {window.end_unix_ns // _NS_PER_S} "
            f"{number(value)!r}{place.telnet_tags}".encode("ascii")
            for window in batch.windows
            for point in window.points
            for place in (self._places.of(point),)
            for figure, value in running(point)
        ]

    def json(self, batch: Batch) -> "list[bytes]":
        """JSON objects for ``/api/put``; times in milliseconds.

        Raises:
            Rejected: A number is not finite.

        """
        self._speak_for(batch.resource)
        return [
            f'{{"metric":"{place.name(figure)}",'
            f'"timestamp":{window.end_unix_ns // _NS_PER_MS},'
            f'"value":{number(value)!r},"tags":{place.json_tags}}}'.encode("ascii")
            for window in batch.windows
            for point in window.points
            for place in (self._places.of(point),)
            for figure, value in running(point)
        ]

    def _speak_for(self, resource: Resource) -> None:
        # A data point without any tag is refused; the host is what most people ask for.
        common = {
            "host": _WORD.of(host_of(resource) or "unknown"),
            "service": _WORD.of(resource.service),
        }
        if common != self._common:
            self._common, self._names = common, Names()
            self._places = SeriesCache(self._place)

    def _place(self, series: Series) -> Place:
        tags = self._tags(series)
        telnet = "".join(f" {key}={value}" for key, value in tags.items())
        metric = self._name.of(series.name)
        place = Place(metric, telnet, "")
        metric += self._names.suffix(
            [place.name(figure) + telnet for figure in running_names(series.kind)],
            (series.name, series.kind, series.unit, series.attributes),
        )
        pairs = ",".join(f'"{key}":"{value}"' for key, value in tags.items())
        return Place(metric, telnet, f"{{{pairs}}}")

    def _tags(self, series: Series) -> "dict[str, str]":
        found = dict(self._common)
        over: list[str] = []
        room = self._most_tags - len(found)
        crowded = len(series.attributes) > room
        for position, (name, value) in enumerate(series.attributes):
            key, text = _WORD.of(name), _WORD.of(word(value))
            if key in found or (crowded and position >= room - 1):
                over += [key, text]
            else:
                found[key] = text
        if over:
            rest = Naming(_FORBIDDEN, limit=_LONGEST).of(".".join(over))
            found["more" if "more" not in found else "more_2"] = rest
        return found
