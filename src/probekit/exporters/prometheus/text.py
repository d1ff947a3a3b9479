"""A snapshot as Prometheus' text format 0.0.4 or as OpenMetrics 1.0; pure.

Both show running totals without timestamps. Families come in the order of their first
series; all samples of a family stand together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from probekit._version import __version__
from probekit.exporters.cache import SeriesCache
from probekit.exporters.otlp.metrics import bounds_for
from probekit.exporters.prometheus.naming import (
    Family,
    Labels,
    Named,
    PrometheusNames,
)
from probekit.histogram import Histogram
from probekit.model import Point, Resource, Series, Snapshot
from probekit.pace import Pace

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
IDENTITY = frozenset({"service.name", "service.namespace", "service.instance.id"})


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One measurement that a bucket shows, with its trace.

    Attributes:
        value: In the histogram's unit.
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        time_unix_ns: When.
    """

    value: float
    trace_id: str
    span_id: str
    time_unix_ns: int


class ExemplarSource(Protocol):
    """Knows examples for the buckets of a histogram."""

    def of(self, series: Series, bounds: "Sequence[float]") -> "Mapping[int, Exemplar]":
        """Index of the bucket (the last one is +Inf) → an example out of it."""


class NoExemplars:
    """Knows none."""

    def of(self, series: Series, bounds: "Sequence[float]") -> "Mapping[int, Exemplar]":
        """Nothing."""
        del series, bounds
        return {}


@dataclass(frozen=True, slots=True)
class Shape:
    """What never changes of a series' lines: the samples' names with their labels."""

    named: Named
    bounds: "tuple[float, ...]"
    heads: "tuple[str, ...]"


class Exposition:
    """Writes snapshots; keeps what it made of each series.

    Args:
        bounds: Buckets of every histogram; None for those of the conventions.
        scope: Whether every series names its scope in ``otel_scope_name``.
    """

    def __init__(
        self, bounds: "Sequence[float] | None" = None, *, scope: bool = False
    ) -> None:
        """Start with an empty memory."""
        self.names = PrometheusNames()
        self._bounds = None if bounds is None else tuple(bounds)
        self._shapes: SeriesCache[Shape] = SeriesCache(self._shape)
        self._scope: Labels = scope_labels() if scope else ()

    def write(
        self,
        snapshot: Snapshot,
        *,
        openmetrics: bool = False,
        exemplars: "ExemplarSource | None" = None,
    ) -> bytes:
        """The whole document.

        Args:
            snapshot: Where everything stands.
            openmetrics: True for OpenMetrics, False for the text format.
            exemplars: Shown in OpenMetrics only.

        """
        source = exemplars if exemplars and openmetrics else NoExemplars()
        families = self._grouped(snapshot.points)
        parts = [target_info(snapshot.resource, self.names, openmetrics=openmetrics)]
        pace = Pace()
        for family, members in families.items():
            parts.append(header(family, _help_of(members), openmetrics=openmetrics))
            for shape, point in pace.through(members):
                parts.extend(_lines(shape, point, source))
        if openmetrics:
            parts.append("# EOF\n")
        return "".join(parts).encode("utf-8", "replace")

    def families(self, snapshot: Snapshot) -> "list[tuple[list[Point], bytes]]":
        """Each family as a document of its own, with the points in it."""
        found = []
        for family, members in self._grouped(snapshot.points).items():
            lines = [header(family, _help_of(members), openmetrics=False)]
            for shape, point in members:
                lines.extend(_lines(shape, point, NoExemplars()))
            text = "".join(lines).encode("utf-8", "replace")
            found.append(([point for _, point in members], text))
        return found

    def _grouped(
        self, points: "Iterable[Point]"
    ) -> "dict[Family, list[tuple[Shape, Point]]]":
        families: dict[Family, list[tuple[Shape, Point]]] = {}
        for point in points:
            shape = self._shapes.of(point)
            families.setdefault(shape.named.family, []).append((shape, point))
        return families

    def _shape(self, series: Series) -> Shape:
        named = self.names.of(series)
        labels = (*named.labels, *self._scope)
        name = named.family.name
        if series.kind != "histogram":
            suffix = "_total" if series.kind == "counter" else ""
            return Shape(named, (), (name + suffix + braces(labels),))
        bounds = self._bounds or bounds_for(series)
        heads = [
            f"{name}_bucket{braces((*labels, ('le', number(bound))))}"
            for bound in (*bounds, float("inf"))
        ]
        heads += [f"{name}_sum{braces(labels)}", f"{name}_count{braces(labels)}"]
        return Shape(named, bounds, tuple(heads))


def _lines(shape: Shape, point: Point, source: ExemplarSource) -> "Iterable[str]":
    value = point.value if point.total is None else point.total
    heads = shape.heads
    if not isinstance(value, Histogram):
        return (f"{heads[0]} {number(value)}\n",)
    found = source.of(point.series, shape.bounds)
    running, lines = 0, []
    for index, count in enumerate(value.counts_between(shape.bounds)):
        running += count
        example = found.get(index)
        tail = exemplar(example) if example is not None else ""
        lines.append(f"{heads[index]} {running}{tail}\n")
    lines.append(f"{heads[-2]} {number(value.sum)}\n{heads[-1]} {value.count}\n")
    return lines


def _help_of(members: "list[tuple[Shape, Point]]") -> str:
    return next((p.series.description for _, p in members if p.series.description), "")


def header(family: Family, description: str, *, openmetrics: bool) -> str:
    """The lines that begin with ``#``."""
    name = family.name
    if family.kind == "counter" and not openmetrics:
        name += "_total"
    lines = f"# TYPE {name} {family.type}\n"
    if family.unit and openmetrics:
        lines += f"# UNIT {name} {family.unit}\n"
    if description:
        text = escaped(description) if openmetrics else _escaped_help(description)
        lines += f"# HELP {name} {text}\n"
    return lines


def target_info(
    resource: Resource, names: PrometheusNames, *, openmetrics: bool
) -> str:
    """The resource's attributes that are not the target's identity; may be empty."""
    rest = [(k, v) for k, v in resource.attributes.items() if k not in IDENTITY]
    labels = names.labels(tuple(sorted(rest)))
    if not labels:
        return ""
    if openmetrics:
        return f"# TYPE target info\ntarget_info{braces(labels)} 1\n"
    return f"# TYPE target_info gauge\ntarget_info{braces(labels)} 1\n"


def scope_labels() -> Labels:
    """Who made the measurements: this library."""
    return (("otel_scope_name", "probekit"), ("otel_scope_version", __version__))


def exemplar(example: Exemplar) -> str:
    """The end of a bucket's line; at most 62 of the 128 characters allowed."""
    labels = (("span_id", example.span_id), ("trace_id", example.trace_id))
    seconds = example.time_unix_ns / 1e9
    return f" # {braces(labels)} {number(example.value)} {seconds:.3f}"


def braces(labels: Labels) -> str:
    r"""Labels as they stand behind a name.

    Example:
        >>> braces((("a", 'x"y'),)), braces(())
        ('{a="x\\"y"}', '')

    """
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{escaped(text)}"' for name, text in labels) + "}"


def escaped(text: str) -> str:
    """A label's value: backslash, quote and newline."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _escaped_help(text: str) -> str:
    return text.replace("\0", "\ufffd").replace("\\", r"\\").replace("\n", r"\n")


def number(value: float) -> str:
    """A value as both formats write it.

    Example:
        >>> number(3.0), number(float("inf")), number(0.1)
        ('3.0', '+Inf', '0.1')

    """
    text = repr(float(value))
    return _SPECIAL.get(text, text)


_SPECIAL = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}
