"""Users' own readings: callbacks that the draining thread asks."""

from probekit.errors import ConfigError
from probekit.model import Harvest
from probekit.notice import notice
from probekit.observer import Observe, Observer, SeriesTable
from probekit.recording.attributes import type_name


class Observers:
    """The callbacks of ``observe`` and what they said."""

    __slots__ = ("_callbacks", "_observer", "_table")

    def __init__(self, table: SeriesTable) -> None:
        """Start without callbacks; series go into *table*."""
        self._table = table
        self._callbacks: list[Observe] = []
        self._observer = Observer(table)

    def __len__(self) -> int:
        """How many callbacks there are."""
        return len(self._callbacks)

    def add(self, callback: Observe) -> None:
        """Ask *callback* from now on; adding it again changes nothing.

        Raises:
            ConfigError: It is not callable.

        """
        if not callable(callback):
            raise ConfigError(
                f"observe() wants a callable, got {type_name(type(callback))}",
            )
        if callback not in self._callbacks:
            self._callbacks.append(callback)

    def remove(self, callback: Observe) -> None:
        """Ask *callback* no more; unknown ones are ignored."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def forget(self) -> None:
        """In a forked child: keep the callbacks, drop what they told the parent."""
        self._observer = Observer(self._table)

    def harvest(self, into: Harvest) -> None:
        """Ask everybody and write the answers into *into*; the drain's thread only."""
        observer = self._observer
        for callback in self._callbacks[:]:
            _ask(callback, observer)
        said = observer.harvest()
        into.sum_ids += said.sum_ids
        into.sum_values += said.sum_values
        into.sum_counts += said.sum_counts
        into.gauge_ids += said.gauge_ids
        into.gauge_values += said.gauge_values
        into.gauge_counts += said.gauge_counts
        for cause, count in said.losses.items():
            into.losses[cause] = into.losses.get(cause, 0) + count


def _ask(callback: Observe, observer: Observer) -> None:
    try:
        callback(observer)
    except Exception as error:
        name = getattr(callback, "__qualname__", type_name(type(callback)))
        notice(
            f"observe {name}",
            f"the observe callback {name} failed and is asked again next time: "
            f"{type_name(type(error))}",
        )
