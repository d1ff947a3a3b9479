"""Counters, up-down counters, gauges, histograms; the names and calls of OpenTelemetry.

An instrument has one name in a process, and is made at its first mention.
"""

from collections.abc import Mapping

from probekit.errors import BadName
from probekit.hints import Any, TypeVar
from probekit.naming import checked_name
from probekit.notice import notice
from probekit.recording.attributes import type_name
from probekit.recording.bound import BoundCounter, BoundGauge, BoundHistogram
from probekit.recording.handle import Handle
from probekit.recording.instrument import Instrument
from probekit.recording.registry import REGISTRY, Registry


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
COMMON = "probekit.overflow"


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
        if len(registry.instruments) >= registry.allowance.names_limit:
            return _common(kind, registry)
        made = kind(name, unit, description, registry=registry, **options)
        known = registry.instruments.setdefault(name, made)
    if not isinstance(known, kind):
        raise BadName(f"{name!r} is a {known.kind}, it cannot be a {kind.kind} too")
    if unit and known.unit and unit != known.unit:
        raise BadName(f"{name!r} has the unit {known.unit!r}, it cannot have {unit!r}")
    return known


def _common(kind: "type[AnyInstrument]", registry: Registry) -> AnyInstrument:
    """What all those are whose names come after too many others."""
    name = f"{COMMON}.{kind.kind}"
    known = registry.instruments.get(name)
    if isinstance(known, kind):
        return known
    notice(
        "names",
        f"there are {registry.allowance.names_limit} metric names; further ones are "
        f"counted together as {name}",
    )
    made = registry.instruments[name] = kind(name, registry=registry)
    return made


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
