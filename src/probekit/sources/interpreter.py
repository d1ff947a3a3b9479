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
        self._said: list[Readings] = []

    def __call__(self, observer: Observer) -> None:
        """Say collections, collected and uncollectable objects; never raises."""
        for generation, figures in enumerate(_generations()):
            if generation == len(self._said):
                self._said.append(_series(generation))
            # A tuple: the older ones mostly stand still.
            values = tuple(map(figures.get, _KEYS, _ZEROS))
            observer.say(self._said[generation], values)


def _series(generation: int) -> Readings:
    whose = {"cpython.gc.generation": generation}
    return Readings("total", ((name, whose, unit) for _, name, unit in _FIGURES))


_KEYS = tuple(key for key, _, _ in _FIGURES)
_ZEROS = (0,) * len(_KEYS)


def _generations() -> "list[dict[str, int]]":
    try:
        return gc.get_stats()
    except Exception:  # another interpreter has another collector
        return []
