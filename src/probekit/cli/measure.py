"""One figure of one metric, read from a buffer over the last while."""

import json
import sqlite3
from dataclasses import dataclass, replace
from typing import Any

import click

from probekit.buffer.records import load_attributes
from probekit.buffer.status import BufferStatus
from probekit.clock import SYSTEM_CLOCK
from probekit.exporters.nagios.plugin import UNITS, Perf, Range
from probekit.exporters.text import word
from probekit.histogram import Histogram

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
#: Kind → the figures it has, the default first.
FIGURES = {
    "counter": ("delta", "rate", "total"),
    "up_down_counter": ("value",),
    "gauge": ("value",),
    "histogram": (
        "p95", "p50", "p90", "p99", "min", "max", "mean", "count", "sum", "rate",
        "error_ratio",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        metric: Its name.
        figure: One of :data:`FIGURES`; empty for the default.
        attributes: Key → value as text; a series must have all of them.
        over_s: How far to look back, seconds.
        max_age_s: Longest time that the buffer may have been without a leader, seconds.
    """

    metric: str
    figure: str
    attributes: "dict[str, str]"
    over_s: float
    max_age_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found; no values when nothing was measured in that time."""

    text: str
    values: "list[Perf]"

    @staticmethod
    def with_ranges(perf: Perf, warn: "Range | None", crit: "Range | None") -> Perf:
        """*perf* with the ranges that judged it."""
        return replace(
            perf, warn=warn.text if warn else "", crit=crit.text if crit else ""
        )


@dataclass(frozen=True, slots=True)
class _Series:
    id: int
    kind: str
    unit: str
    attributes: "dict[str, Any]"
    total: float
    last: "float | None"


def measure(
    connection: sqlite3.Connection, status: BufferStatus, wanted: Wanted
) -> Measured:
    """Read it.

    Raises:
        click.ClickException: There is no such metric or figure, or the buffer is stale.

    """
    found = _series(connection, wanted)
    kind = found[0].kind
    figure = wanted.figure or FIGURES[kind][0]
    if figure not in FIGURES[kind]:
        raise click.ClickException(
            f"{wanted.metric} is a {kind} and has no figure {figure!r}; "
            f"it has {', '.join(FIGURES[kind])}"
        )
    now_ns = SYSTEM_CLOCK.wall_ns()
    _refuse_stale(connection, status, wanted, now_ns)
    since_ns = now_ns - int(wanted.over_s * 1e9)
    unit = UNITS.get(found[0].unit, "")
    where = "".join(f" {key}={value}" for key, value in wanted.attributes.items())
    text = f"{wanted.metric}{where} {figure}"
    if kind == "gauge":
        return Measured(text, _levels(found, unit))
    if kind == "up_down_counter":
        return Measured(text, [Perf(figure, sum(each.total for each in found), unit)])
    text += "" if figure == "total" else f" over {wanted.over_s:g} s"
    if kind == "counter":
        return Measured(text, [_count(connection, found, figure, unit, since_ns)])
    return Measured(text, _shape(connection, found, figure, unit, since_ns))


def _series(connection: sqlite3.Connection, wanted: Wanted) -> "list[_Series]":
    rows = connection.execute(
        "SELECT id, kind, unit, attributes, sum, last FROM series WHERE name = ? "
        "AND (count > 0 OR updated_unix_ns > 0) ORDER BY id",
        (wanted.metric,),
    )
    found = []
    for id_, kind, unit, raw, total, last in rows:
        attributes = load_attributes(json.loads(raw))
        said = {key: word(value) for key, value in attributes.items()}
        if wanted.attributes.items() <= said.items():
            found.append(_Series(id_, kind, unit, dict(attributes), total, last))
    if not found:
        raise click.ClickException(_nothing(connection, wanted))
    return [each for each in found if each.kind == found[0].kind]


def _nothing(connection: sqlite3.Connection, wanted: Wanted) -> str:
    import difflib

    names = [row[0] for row in connection.execute("SELECT DISTINCT name FROM series")]
    if wanted.metric in names:
        return f"no series of {wanted.metric} has these attributes"
    near = difflib.get_close_matches(wanted.metric, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"the buffer has no metric {wanted.metric!r}{hint}"


def _refuse_stale(
    connection: sqlite3.Connection, status: BufferStatus, wanted: Wanted, now_ns: int
) -> None:
    """Nobody leads, nothing comes: what the buffer says is of the past."""
    newest = connection.execute("SELECT max(end_unix_ns) FROM window").fetchone()[0]
    ages_s = [(now_ns - newest) / 1e9] if newest else []
    if status.leader_beat_age_s is not None:
        ages_s.append(status.leader_beat_age_s)
    if not ages_s or min(ages_s) > wanted.max_age_s:
        since = f"for {min(ages_s):.0f} s" if ages_s else "yet"
        raise click.ClickException(f"the buffer has had nothing new {since}")


def _levels(found: "list[_Series]", unit: str) -> "list[Perf]":
    """Each gauge's own; they have no sum."""
    return [
        Perf(_label(each, len(found)), each.last, unit)
        for each in found
        if each.last is not None
    ]


def _label(series: _Series, count: int) -> str:
    if count == 1:
        return "value"
    pairs = [f"{key}:{word(value)}" for key, value in series.attributes.items()]
    clean = "".join(c if c.isprintable() and c != "|" else "_" for c in " ".join(pairs))
    return clean[:100] or "value"


def _count(
    connection: sqlite3.Connection,
    found: "list[_Series]",
    figure: str,
    unit: str,
    since_ns: int,
) -> Perf:
    if figure == "total":
        return Perf(figure, sum(each.total for each in found), "c")
    rows = _points(connection, found, since_ns)
    delta = sum(value for _, value, *_ in rows)
    if figure == "delta":
        return Perf(figure, delta, unit)
    return Perf(figure, delta / _seconds(since_ns))


def _shape(
    connection: sqlite3.Connection,
    found: "list[_Series]",
    figure: str,
    unit: str,
    since_ns: int,
) -> "list[Perf]":
    failing = {each.id for each in found if "error.type" in each.attributes}
    whole, failed = Histogram(), 0
    for series_id, value, low, high, bins in _points(connection, found, since_ns):
        part = Histogram.from_blob(bins, value, low, high)
        whole.merge(part)
        failed += part.count if series_id in failing else 0
    if figure == "count":
        return [Perf(figure, float(whole.count), low=0.0)]
    if figure == "rate":
        return [Perf(figure, whole.count / _seconds(since_ns), low=0.0)]
    if not whole.count:
        return []
    if figure == "error_ratio":
        return [Perf(figure, failed / whole.count, low=0.0)]
    if figure in _QUANTILES:
        return [Perf(figure, whole.quantile(_QUANTILES[figure]), unit)]
    value = {
        "min": whole.min,
        "max": whole.max,
        "sum": whole.sum,
        "mean": whole.sum / whole.count,
    }[figure]
    return [Perf(figure, value, unit)]


def _seconds(since_ns: int) -> float:
    return (SYSTEM_CLOCK.wall_ns() - since_ns) / 1e9


def _points(
    connection: sqlite3.Connection, found: "list[_Series]", since_ns: int
) -> "list[tuple[int, float, float, float, bytes]]":
    return connection.execute(
        "SELECT series, value, min, max, bins FROM point WHERE window >= "
        "(SELECT min(id) FROM window WHERE end_unix_ns > ?) "
        "AND series IN (SELECT value FROM json_each(?))",
        (since_ns, json.dumps([each.id for each in found])),
    ).fetchall()
