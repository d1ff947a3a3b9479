"""Graphite's metrics: a path, a number, a time in whole seconds; pure.

The numbers are those of :func:`probekit.exporters.figures.running`: sums are totals, so
the last of two that fall into one second is right; a histogram is ``path.count``,
``path.sum`` … Where attributes go: into the *path*, as a template says, or into *tags*
(``name;key=value``, Graphite 1.1 and VictoriaMetrics).
"""

import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from probekit.errors import Rejected
from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import running, running_names
from probekit.exporters.naming import Names, Naming
from probekit.exporters.text import host_of, number, word
from probekit.model import Batch, Resource, Series, Snapshot

TagStyle: TypeAlias = Literal["path", "graphite"]
TAG_STYLES: "tuple[TagStyle, ...]" = ("path", "graphite")
TEMPLATE = "{service}.{host}.{name}.{attributes}"
LONGEST_PATH = 3000  # a file's path has at most 4096 bytes, carbon's own part included
PICKLED_AT_ONCE = 500
_LONGEST_STEP = 200
_NAME = Naming(re.compile(r"[^A-Za-z0-9_.-]+|\.(?=\.)|^\.|\.$"))
_STEP = Naming(re.compile(r"[^A-Za-z0-9_-]+"), limit=_LONGEST_STEP)
_TAG = Naming(
    re.compile(r"[\s;~!^=\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+"),
    limit=_LONGEST_STEP,
)
_WORDS = re.compile(r"\{([^{}]+)\}")
_OWN = frozenset({"service", "host", "name", "attributes"})
_NS_PER_S = 10**9
Metric: TypeAlias = "tuple[str, tuple[int, float]]"


@dataclass(frozen=True, slots=True)
class Place:
    """What never changes of a series' paths."""

    head: str
    tail: str = ""

    def path(self, figure: str) -> str:
        """The path of one of its numbers."""
        return f"{self.head}.{figure}{self.tail}" if figure else self.head + self.tail


class GraphiteMetrics:
    """Encodes batches.

    Args:
        tags: Where attributes go.
        template: The path's steps, when they go there: ``{service}``, ``{host}``,
            ``{name}``, ``{attributes}`` (``key.value`` each, all that the template
            does not name) and any attribute's key.
        prefix: Put before every path, as it stands.
    """

    __slots__ = ("_common", "_names", "_places", "_prefix", "_steps", "_template")

    def __init__(
        self, *, tags: TagStyle = "path", template: str = TEMPLATE, prefix: str = ""
    ) -> None:
        """Start with an empty memory."""
        self._prefix = prefix
        self._template = template
        self._steps: Callable[[Series], Place] = (
            self._in_path if tags == "path" else self._in_tags
        )
        self._common: dict[str, str] = {}
        self._names = Names()
        self._places: SeriesCache[Place] = SeriesCache(self._place)

    def learn(self, snapshot: Snapshot) -> None:
        """Name every series in the order of the snapshot."""
        self._speak_for(snapshot.resource)
        for point in snapshot.points:
            self._places.of(point)

    def metrics(self, batch: Batch) -> "list[Metric]":
        """(path, (time in seconds, value)) for every number.

        Raises:
            Rejected: A number is not finite, or a path is too long for a file.

        """
        self._speak_for(batch.resource)
        found = []
        for window in batch.windows:
            time_s = window.end_unix_ns // _NS_PER_S
            for point in window.points:
                place = self._places.of(point)
                length = len(place.head) + len(place.tail)
                if length > LONGEST_PATH:
                    raise Rejected(
                        f"a path of {length} characters is longer than "
                        f"{LONGEST_PATH}: {place.head[:60]}…",
                    )
                found += [
                    (place.path(figure), (time_s, value))
                    for figure, value in running(point)
                ]
        return found

    def lines(self, batch: Batch) -> "list[bytes]":
        """``path value time``, without line ends."""
        return [
            f"{path} {number(value)!r} {time_s}".encode("utf-8", "replace")
            for path, (time_s, value) in self.metrics(batch)
        ]

    def frames(self, batch: Batch) -> "list[bytes]":
        """Pickled lists of metrics, each with its length before it."""
        metrics = self.metrics(batch)
        found = []
        for start in range(0, len(metrics), PICKLED_AT_ONCE):
            some = pickle.dumps(metrics[start : start + PICKLED_AT_ONCE], protocol=2)
            found.append(struct.pack(">I", len(some)) + some)
        return found

    def _speak_for(self, resource: Resource) -> None:
        common = {"service": resource.service, "host": host_of(resource)}
        if common != self._common:
            self._common, self._names = common, Names()
            self._places = SeriesCache(self._place)

    def _place(self, series: Series) -> Place:
        place = self._steps(series)
        suffix = self._names.suffix(
            [place.path(figure) for figure in running_names(series.kind)],
            (series.name, series.kind, series.unit, series.attributes),
        )
        return Place(place.head + suffix, place.tail)

    def _in_path(self, series: Series) -> Place:
        attributes = {key: word(value) for key, value in series.attributes}
        named = set(_WORDS.findall(self._template)) - _OWN
        rest = [
            _STEP.of(text)
            for key, value in attributes.items()
            if key not in named
            for text in (key, value)
        ]
        steps = {key: _STEP.of(attributes.get(key, "none")) for key in named}
        steps |= {
            key: _STEP.of(text) if text else "" for key, text in self._common.items()
        }
        steps |= {"name": _NAME.of(series.name), "attributes": ".".join(rest)}
        path = _WORDS.sub(lambda found: steps[found.group(1)], self._template)
        return Place(self._prefix + re.sub(r"\.{2,}", ".", path).strip("."))

    def _in_tags(self, series: Series) -> Place:
        tags: dict[str, str] = {}
        pairs = [*self._common.items(), *series.attributes]
        for name, value in pairs:
            key, text = _TAG.of(name), word(value)
            key = "name_" if key == "name" else key  # the path's own tag
            base, step = key, 2
            while key in tags:
                key, step = f"{base}_{step}", step + 1
            if text:
                tags[key] = _TAG.of(text)
        tail = "".join(f";{key}={tags[key]}" for key in sorted(tags))
        return Place(self._prefix + _NAME.of(series.name), tail)


def is_template(text: str) -> bool:
    """Whether *text* can be a template: ``{name}`` and a path's characters.

    Example:
        >>> is_template("app.{host}.{name}"), is_template("app")
        (True, False)

    """
    plain = _WORDS.sub("x", text)
    return "{name}" in text and not re.search(r"[^A-Za-z0-9_.-]", plain)
