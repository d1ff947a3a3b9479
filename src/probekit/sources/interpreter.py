"""The interpreter's garbage collector."""

import gc

from probekit.observer import Observer

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

    __slots__ = ()

    def __call__(self, observer: Observer) -> None:
        """Say collections, collected and uncollectable objects; never raises."""
        for generation, figures in enumerate(_generations()):
            attributes = {"cpython.gc.generation": generation}
            for key, name, unit in _FIGURES:
                observer.total(name, figures.get(key, 0), attributes, unit=unit)


def _generations() -> "list[dict[str, int]]":
    try:
        return gc.get_stats()
    except Exception:  # another interpreter has another collector
        return []
