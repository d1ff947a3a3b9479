"""The interpreter's garbage collector."""

import gc

from probekit.observer import Observer, Readings

_FIGURES = (
    ("collections", "cpython.gc.collections", "{collection}"),
    ("collected", "cpython.gc.collected_objects", "{object}"),
    ("uncollectable", "cpython.gc.uncollectable_objects", "{object}"),
)


class InterpreterSource:
    """Reads what the collector has done, by generation.

    A forked child inherits its parent's totals, so the first reading is always the
    base line: no collection is told twice, and those before it are not told.
    """

    __slots__ = ("_said",)

    def __init__(self) -> None:
        """Name no series yet: how many generations there are is read."""
        self._said = Readings("total", ())

    def __call__(self, observer: Observer) -> None:
        """Say collections, collected and uncollectable objects; never raises."""
        # A tuple: the older ones mostly stand still.
        values = tuple(
            [each.get(key, 0) for each in _generations() for key, _, _ in _FIGURES]
        )
        if len(values) != len(self._said.series):
            self._said = _series(len(values) // len(_FIGURES))
        observer.say(self._said, values)


def _series(generations: int) -> Readings:
    return Readings(
        "total",
        (
            (name, {"cpython.gc.generation": generation}, unit)
            for generation in range(generations)
            for _, name, unit in _FIGURES
        ),
    )


def _generations() -> "list[dict[str, int]]":
    try:
        return gc.get_stats()
    except Exception:  # another interpreter has another collector
        return []
