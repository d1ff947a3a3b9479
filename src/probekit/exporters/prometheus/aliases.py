"""The stock names of process metrics beside ours, so that stock dashboards work; pure.

Sums over what the stock metric does not tell apart; the process's id stays a label,
for one endpoint speaks for all processes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from probekit.histogram import Histogram
from probekit.model import Kind, Point, Series, Snapshot


@dataclass(frozen=True, slots=True)
class Alias:
    """How one of our metrics is called by the stock collectors.

    Attributes:
        name: The stock name, without ``_total``.
        kind: Of the stock metric.
        keys: Our attribute → stock label; all others are summed over.
        ages: True when ours is an age and the stock metric the moment of birth.
    """

    name: str
    kind: Kind
    keys: "Mapping[str, str]"
    ages: bool = False


_PID = {"process.pid": "process.pid"}
_GENERATION = {"cpython.gc.generation": "generation", **_PID}
ALIASES: "Mapping[str, Alias]" = {
    "process.cpu.time": Alias("process_cpu_seconds", "counter", _PID),
    "process.memory.usage": Alias("process_resident_memory_bytes", "gauge", _PID),
    "process.memory.virtual": Alias("process_virtual_memory_bytes", "gauge", _PID),
    "process.unix.file_descriptor.count": Alias("process_open_fds", "gauge", _PID),
    "process.uptime": Alias("process_start_time_seconds", "gauge", _PID, ages=True),
    "cpython.gc.collections": Alias("python_gc_collections", "counter", _GENERATION),
    "cpython.gc.collected_objects": Alias(
        "python_gc_objects_collected", "counter", _GENERATION
    ),
    "cpython.gc.uncollectable_objects": Alias(
        "python_gc_objects_uncollectable", "counter", _GENERATION
    ),
}


def with_aliases(snapshot: Snapshot) -> Snapshot:
    """*snapshot* with the stock metrics added at its end."""
    sums: dict[Series, float] = {}
    for point in snapshot.points:
        alias = ALIASES.get(point.series.name)
        value = point.value if point.total is None else point.total
        if alias is None or isinstance(value, Histogram):
            continue
        if alias.ages:
            value = snapshot.time_unix_ns / 1e9 - value
        attributes = tuple(
            (alias.keys[key], value_)
            for key, value_ in point.series.attributes
            if key in alias.keys
        )
        series = Series(alias.name, alias.kind, "", tuple(sorted(attributes)))
        sums[series] = sums.get(series, 0.0) + value
    added: Sequence[Point] = [
        Point(series, value, total=value) for series, value in sums.items()
    ]
    return replace(snapshot, points=(*snapshot.points, *added))
