"""Users' own readings: callbacks that the draining thread asks."""

from array import array
from collections.abc import Callable, Iterable

from probekit.errors import ConfigError
from probekit.hints import TYPE_CHECKING, TypeAlias, TypeVar
from probekit.naming import NAME_LIMIT, VALUE_LIMIT
from probekit.notice import notice
from probekit.observer import Observe, Observer, SeriesTable, frozen
from probekit.patience import Patience
from probekit.recorded import Series
from probekit.recording.allowance import Allowance
from probekit.recording.attributes import clean, encodable, is_lasting, type_name

if TYPE_CHECKING:
    from probekit.model import Harvest
    from probekit.recording.seams import Scrub

T = TypeVar("T")
# Adds to a harvest what somebody else has counted; its ids are those of the table.
Collect: TypeAlias = "Callable[[Harvest], object]"


class Share(SeriesTable):
    """A table of series with room for so many more of those that callbacks read.

    Nothing can be read into an overflow series: one level among others is no level.
    What a series is called is cut and cleaned as it is for instruments.

    Attributes:
        nowhere: Id that stands for all series beyond; None while there are none.
    """

    __slots__ = ("_allowance", "_made", "_scrub", "nowhere")

    def __init__(
        self, table: SeriesTable, allowance: Allowance, scrub: "Callable[[], Scrub]"
    ) -> None:
        """Add to *table* itself; *scrub* gives what takes secrets out."""
        self.series, self._ids = table.series, table._ids  # noqa: SLF001 - its sister
        self._allowance = allowance
        self._scrub = scrub
        self._made = 0
        self.nowhere: int | None = None

    def intern(self, series: Series) -> int:
        """Return the id of *series*, or :attr:`nowhere`; the drain's thread only."""
        known = self._ids.get(series)
        if known is not None:
            return known
        kept = self._cleaned(series)
        is_new = kept not in self._ids
        if is_new and self._made >= self._allowance.observed_limit:
            return self._refuse(kept)
        self._made += is_new
        made = super().intern(kept)
        if _is_light(series):  # else it is cleaned again each time, and not held
            self._ids[series] = made
        return made

    def _cleaned(self, series: Series) -> Series:
        given = series.attributes
        attributes = self._scrub().attributes(clean(dict(given))) if given else {}
        return Series(
            encodable(series.name, NAME_LIMIT),
            series.kind,
            encodable(series.unit, NAME_LIMIT),
            frozen(attributes),
            series.description,
            series.ends_with_process,
        )

    def _refuse(self, series: Series) -> int:
        if self.nowhere is None:
            self.nowhere = super().intern(Series("probekit.overflow.observed", "gauge"))
            notice(
                "observed",
                f"callbacks of observe() have told {self._made} series; what they say "
                f"of further ones, such as {series.name}, is left out",
            )
        return self.nowhere

    def strip(self, said: "Harvest") -> None:
        """Take out of *said* what has no series, and count it as lost."""
        if self.nowhere is None:
            return
        told = len(said.sum_ids) + len(said.gauge_ids)
        sums = zip(said.sum_ids, said.sum_values, strict=True)
        said.sum_ids, said.sum_values = self._kept(sums)
        gauges = zip(said.gauge_ids, said.gauge_values, strict=True)
        said.gauge_ids, said.gauge_values = self._kept(gauges)
        del (
            said.sum_counts[len(said.sum_ids) :],
            said.gauge_counts[len(said.gauge_ids) :],
        )
        lost = told - len(said.sum_ids) - len(said.gauge_ids)
        if lost:
            said.losses["metrics", "series_limit"] = lost

    def _kept(
        self, pairs: "Iterable[tuple[int, float]]"
    ) -> "tuple[array[int], array[float]]":
        kept = [pair for pair in pairs if pair[0] != self.nowhere]
        return array("I", [each for each, _ in kept]), array("d", [v for _, v in kept])


def _is_light(series: Series) -> bool:
    """Whether holding it, as it was told, holds neither much text nor objects."""
    size = len(series.name)
    for name, value in series.attributes:
        if not is_lasting(value):
            return False
        size += len(name) + (len(value) if isinstance(value, str | tuple) else 1)
    return size <= VALUE_LIMIT


class Observers:
    """The callbacks of ``observe`` and what they said.

    Attributes:
        is_ending: Whether the next harvest may be the last: who gives something only
            now and then gives it.
        is_early: Whether the next harvest comes between two regular ones: nobody is
            asked then.
    """

    __slots__ = (
        *("_asked", "_collecting", "_observer", "_table"),
        *("is_early", "is_ending"),
    )

    def __init__(
        self, table: SeriesTable, allowance: Allowance, scrub: "Callable[[], Scrub]"
    ) -> None:
        """Start without callbacks; series go into *table*."""
        self._table = Share(table, allowance, scrub)
        self.is_early = False
        self._asked: list[tuple[Observe, Patience]] = []
        self._collecting: list[tuple[Collect, Patience]] = []
        self._observer: Observer | None = None
        self.is_ending = False

    def __len__(self) -> int:
        """How many callbacks there are."""
        return len(self._asked)

    def add(self, callback: Observe) -> None:
        """Ask *callback* from now on; adding it again changes nothing.

        Raises:
            ConfigError: It is not callable.

        """
        if not callable(callback):
            raise ConfigError(
                f"observe() wants a callable, got {type_name(type(callback))}",
            )
        self.is_ending = False
        if not any(known == callback for known, _ in self._asked):
            name = getattr(callback, "__qualname__", type_name(type(callback)))
            doing = f"the observe callback {name}"
            self._asked.append((callback, Patience(f"observe {name}", doing)))

    def remove(self, callback: Observe) -> None:
        """Ask *callback* no more; unknown ones are ignored."""
        self._asked = [pair for pair in self._asked if pair[0] != callback]

    def end(self, callbacks: "Iterable[Observe]") -> None:
        """The next harvest may be the last one, and without these *callbacks*."""
        for callback in callbacks:
            self.remove(callback)
        self.is_ending = True

    def collect(self, callback: Collect) -> None:
        """Let *callback* add to each harvest, from now on."""
        patience = Patience("collect", "collecting what others have counted")
        self._collecting.append((callback, patience))

    def collect_no_more(self, callback: Collect) -> None:
        """Leave *callback* alone; unknown ones are ignored."""
        self._collecting = [pair for pair in self._collecting if pair[0] != callback]

    def forget(self) -> None:
        """In a forked child: keep the callbacks, drop what they told the parent."""
        self._observer = None
        self.is_ending = False

    def harvest(self, into: "Harvest") -> None:
        """Ask everybody and write the answers into *into*; the drain's thread only."""
        observer = self._observer
        if observer is None:
            observer = self._observer = Observer(self._table)
        for callback, patience in () if self.is_early else self._asked[:]:
            if patience.allows():
                _ask(callback, observer, patience)
        said = observer.harvest()
        self._table.strip(said)
        into.sum_ids += said.sum_ids
        into.sum_values += said.sum_values
        into.sum_counts += said.sum_counts
        into.gauge_ids += said.gauge_ids
        into.gauge_values += said.gauge_values
        into.gauge_counts += said.gauge_counts
        for cause, count in said.losses.items():
            into.losses[cause] = into.losses.get(cause, 0) + count
        for collect, patience in self._collecting[:]:
            if patience.allows():
                _ask(collect, into, patience)


def _ask(callback: "Callable[[T], object]", told: T, patience: Patience) -> None:
    try:
        callback(told)
    except Exception as error:
        patience.failed(error)
    else:
        patience.worked()
