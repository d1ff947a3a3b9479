"""Counters, up-down counters, gauges, histograms; the names and calls of OpenTelemetry.

Looking up an attribute set costs one dictionary access; a bound handle costs none.
Recording never raises: what cannot be recorded is counted as lost, with its reason.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from probekit.errors import BadName
from probekit.hints import Any, ClassVar, Generic, TypeVar
from probekit.naming import checked_name
from probekit.notice import notice
from probekit.observer import frozen
from probekit.recorded import AttributeValue, Kind, Series
from probekit.recording.attributes import clean, type_name
from probekit.recording.bound import BoundCounter, BoundGauge, BoundHistogram
from probekit.recording.handle import Handle
from probekit.recording.registry import REGISTRY, Registry
from probekit.recording.watch import LENGTH_LIMIT

OVERFLOW = (("otel.metric.overflow", True),)

B = TypeVar("B")


class Instrument(ABC, Generic[B]):
    """A named measure; makes one series for each set of attributes.

    Attributes:
        name: Metric name.
        unit: UCUM unit; empty when none was given.
        description: One line for people.
    """

    kind: ClassVar[Kind]

    __slots__ = (
        "_aliases",
        "_bound",
        "_ends_with_process",
        "_handles",
        "_own_limit",
        "_plain",
        "_registry",
        "_room",
        "description",
        "name",
        "unit",
    )

    def __init__(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        registry: Registry = REGISTRY,
        limit_sets: "int | None" = None,
        ends_with_process: bool = False,
    ) -> None:
        """Name the measure; use :func:`counter` and its sisters instead."""
        self.name = name
        self.unit = unit
        self.description = description
        self._registry = registry
        self._room = registry.watch.room
        self._own_limit = limit_sets
        self._ends_with_process = ends_with_process
        self._handles: dict[tuple[Any, ...], Handle] = {}  # by cleaned attributes
        self._aliases: dict[tuple[Any, ...], Handle] = {}  # by attributes as given
        self._bound: dict[int, B] = {}
        self._plain: Handle | None = None

    @property
    def _limit(self) -> int:
        if self._own_limit:
            return self._own_limit
        registry = self._registry
        if self.kind == "up_down_counter":  # what went up must come down where it was
            return registry.sets_limit
        return min(registry.sets_limit, registry.thrift.sets_limit)

    def __repr__(self) -> str:
        """Say kind, name and unit."""
        return f"<{self.kind} {self.name!r} unit={self.unit!r}>"

    def bind(self, attributes: "Mapping[str, Any] | None" = None) -> B:
        """Return a handle for one set of attributes: the fastest way to record.

        Args:
            attributes: What tells this series from its sisters. Values are text,
                bool, int, float, or sequences of them.

        Raises:
            TypeError: *attributes* is not a mapping.

        """
        handle = self.handle(attributes)
        bound = self._bound.get(handle.series_id)
        if bound is None:
            made = self._bind(handle)
            bound = self._bound.setdefault(handle.series_id, made)
        return bound

    @abstractmethod
    def _bind(self, handle: Handle) -> B:
        """Make what records into *handle*."""

    def _record(self, value: float, attributes: "Mapping[str, Any] | None") -> None:
        try:
            if attributes:
                try:
                    handle = self._aliases.get(tuple(attributes.items()))
                except TypeError:  # a list among the values
                    handle = None
                if handle is None:
                    handle = self.handle(attributes)
            else:
                handle = self._plain or self.handle(None)
            values = handle.values
            length = len(values)
            if length < LENGTH_LIMIT and self._room[length]:
                values.append(value)
            elif not self._registry.due_for(handle):
                handle.append(value)
        except Exception as error:
            self._refuse(error)

    def handle(
        self,
        attributes: "Mapping[str, Any] | None",
        *,
        from_source: bool = False,
    ) -> Handle:
        """The registry's handle for *attributes*; the overflow one beyond the limit.

        Args:
            attributes: What tells this series from its sisters.
            from_source: Whether they are names that the source has, of functions and
                classes alone: these hold no secrets and are kept as they are.

        Raises:
            TypeError: *attributes* is not a mapping.

        """
        if not attributes:
            if self._plain is None:
                self._plain = self._make(())
            return self._plain
        try:
            given = tuple(attributes.items())
            found = self._aliases.get(given)
        except (AttributeError, TypeError):  # no mapping, or a list among the values
            given, found = (), None
        if found is not None:
            return found
        handle, known = self._find(clean(attributes), from_source)
        # Other spellings of known sets are remembered too, but not without end.
        if known and given and len(self._aliases) < 4 * self._limit:
            self._aliases[given] = handle
        return handle

    def _find(
        self,
        cleaned: "dict[str, AttributeValue]",
        from_source: bool,  # noqa: FBT001 - as above
    ) -> "tuple[Handle, bool]":
        key = frozen(cleaned)
        known = self._handles.get(key)
        if known is not None:
            return known, True
        if len(self._handles) >= self._limit:
            return self._overflow(), False
        if not from_source:  # the rules take longer to load than all of recording
            cleaned = self._registry.scrub.attributes(cleaned)
        return self._handles.setdefault(key, self._make(frozen(cleaned))), True

    def _make(self, attributes: "tuple[tuple[str, AttributeValue], ...]") -> Handle:
        return self._registry.handle(
            Series(
                self.name,
                self.kind,
                self.unit,
                attributes,
                self.description,
                self._ends_with_process,
            ),
        )

    def _overflow(self) -> Handle:
        made = OVERFLOW in self._aliases
        handle = self._aliases.setdefault(OVERFLOW, self._make(OVERFLOW))
        if not made:
            notice(
                f"overflow {self.name}",
                f"{self.name} has {self._limit} attribute sets; further ones are "
                f"counted together as otel.metric.overflow. "
                f"Most distinct values: {self._guilty()}",
            )
        return handle

    def _guilty(self) -> str:
        values: dict[str, set[Any]] = {}
        for key in list(self._handles):
            for name, value in key:
                values.setdefault(name, set()).add(value)
        worst = max(values, key=lambda name: len(values[name]), default="")
        return f"attribute {worst!r} with {len(values.get(worst, ()))}"

    def _refuse(self, error: Exception) -> None:
        self._registry.loss("metrics", "invalid")
        kind = type_name(type(error))
        notice(f"invalid {self.name}", f"{self.name} did not take a value: {kind}")


class Counter(Instrument[BoundCounter]):
    """Counts what only grows: orders, bytes sent."""

    kind = "counter"
    __slots__ = ()

    def add(
        self,
        amount: float,
        attributes: "Mapping[str, Any] | None" = None,
    ) -> None:
        """Add *amount*, which is not negative; a bad one is counted as lost."""
        self._record(amount, attributes)

    def _bind(self, handle: Handle) -> BoundCounter:
        return BoundCounter(handle, self._registry)


class UpDownCounter(Instrument[BoundCounter]):
    """Counts what comes and goes: requests in flight, items in a queue."""

    kind = "up_down_counter"
    __slots__ = ()

    def add(
        self,
        amount: float,
        attributes: "Mapping[str, Any] | None" = None,
    ) -> None:
        """Add *amount*, of either sign; a bad one is counted as lost."""
        self._record(amount, attributes)

    def _bind(self, handle: Handle) -> BoundCounter:
        return BoundCounter(handle, self._registry)


class Gauge(Instrument[BoundGauge]):
    """Keeps the last value: a temperature, a queue's depth."""

    kind = "gauge"
    __slots__ = ()

    def set(
        self,
        value: float,
        attributes: "Mapping[str, Any] | None" = None,
    ) -> None:
        """Set the value; NaN and infinities are counted as lost."""
        self._record(value, attributes)

    def _bind(self, handle: Handle) -> BoundGauge:
        return BoundGauge(handle, self._registry)


class Histogram(Instrument[BoundHistogram]):
    """Keeps a distribution: durations, sizes, amounts of money."""

    kind = "histogram"
    __slots__ = ()

    def record(
        self,
        value: float,
        attributes: "Mapping[str, Any] | None" = None,
    ) -> None:
        """Record a value; NaN and infinities are counted as lost."""
        self._record(value, attributes)

    def _bind(self, handle: Handle) -> BoundHistogram:
        return BoundHistogram(handle, self._registry)


AnyInstrument = TypeVar("AnyInstrument", bound=Instrument[Any])


def instrument(
    kind: "type[AnyInstrument]",
    name: str,
    unit: str = "",
    description: str = "",
    *,
    registry: Registry = REGISTRY,
    **options: Any,
) -> AnyInstrument:
    """Return the instrument *name*, making it at first.

    Raises:
        BadName: The name breaks the rules, or is taken by another kind or unit.

    """
    known = registry.instruments.get(name) if isinstance(name, str) else None
    if known is None:
        checked_name(name)
        if not isinstance(unit, str):
            raise BadName(f"unit of {name!r} must be text, got {type(unit).__name__}")
        made = kind(name, unit, description, registry=registry, **options)
        known = registry.instruments.setdefault(name, made)
    if not isinstance(known, kind):
        raise BadName(f"{name!r} is a {known.kind}, it cannot be a {kind.kind} too")
    if unit and known.unit and unit != known.unit:
        raise BadName(f"{name!r} has the unit {known.unit!r}, it cannot have {unit!r}")
    return known


def counter(name: str, unit: str = "", description: str = "") -> Counter:
    """Return the counter *name*: something that only grows.

    Args:
        name: Dotted, plural for things: ``shop.orders``.
        unit: UCUM, ``{order}``, ``By``; the first one given stands.
        description: One line for people.

    Raises:
        BadName: The name breaks the rules, or is taken by another kind or unit.

    Example:
        >>> orders = counter("shop.orders", unit="{order}")
        >>> orders.add(1, {"plan": "pro"})
        >>> fast = orders.bind({"plan": "pro"})
        >>> fast.add(1)

    """
    return instrument(Counter, name, unit, description)


def up_down_counter(
    name: str,
    unit: str = "",
    description: str = "",
    *,
    ends_with_process: bool = False,
) -> UpDownCounter:
    """Return the up-down counter *name*: something that comes and goes.

    Args:
        name: Dotted, singular: ``queue.length``.
        unit: UCUM; the first one given stands.
        description: One line for people.
        ends_with_process: Whether the value describes the process itself, such as
            requests in flight: what a dead process had added is then taken back.

    Raises:
        BadName: The name breaks the rules, or is taken by another kind or unit.

    Example:
        >>> up_down_counter("shop.carts.open").add(-1)

    """
    return instrument(
        UpDownCounter, name, unit, description, ends_with_process=ends_with_process
    )


def gauge(name: str, unit: str = "", description: str = "") -> Gauge:
    """Return the gauge *name*: the last value stands.

    Raises:
        BadName: The name breaks the rules, or is taken by another kind or unit.

    Example:
        >>> gauge("queue.depth").set(12)

    """
    return instrument(Gauge, name, unit, description)


def histogram(name: str, unit: str = "", description: str = "") -> Histogram:
    """Return the histogram *name*: a distribution of values.

    Raises:
        BadName: The name breaks the rules, or is taken by another kind or unit.

    Example:
        >>> histogram("cart.value", unit="EUR").record(42.5, {"plan": "pro"})

    """
    return instrument(Histogram, name, unit, description)


def count(name: str, /, value: float = 1, **attributes: Any) -> None:
    """Add to the counter *name*, in one line.

    Args:
        name: Metric name. A bad one does not raise here: the value is counted as
            lost, and told to the logger.
        value: Amount, not negative.
        attributes: What tells this series from its sisters.

    Example:
        >>> count("shop.orders", plan="pro")

    """
    try:
        known = REGISTRY.instruments.get(name)
        if type(known) is not Counter:
            known = counter(name)
    except Exception as error:
        REGISTRY.loss("metrics", "invalid")
        notice("count", f"count() did not take a value: {type_name(type(error))}")
        return
    known.add(value, attributes)
