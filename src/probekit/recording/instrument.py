"""One measure and its series: which attribute sets have one, which share the overflow.

Looking up an attribute set costs one dictionary access; a bound handle costs none.
Recording never raises: what cannot be recorded is counted as lost, with its reason.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from probekit.hints import Any, ClassVar, Generic, TypeVar
from probekit.notice import notice
from probekit.observer import frozen
from probekit.recorded import AttributeValue, Kind, Series
from probekit.recording.attributes import clean, is_lasting, type_name
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
        limit = self._registry.allowance.sets_limit
        if self.kind == "up_down_counter":  # what went up must come down where it was
            return limit
        return min(limit, self._registry.thrift.sets_limit)

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
        cleaned = clean(attributes)
        key = frozen(cleaned)
        if not key:  # there was nothing in it that may be stored
            return self.handle(None)
        handle = self._handles.get(key) or self._new(key, cleaned, from_source)
        # Other spellings of known sets are remembered too, but not without end, and
        # not if that kept an object of the application's alive.
        if (
            handle is not self._aliases.get(OVERFLOW)
            and len(self._aliases) < 4 * self._limit
            and all(is_lasting(value) for _, value in given)
            and given
        ):
            self._aliases[key if given == key else given] = handle
        return handle

    def _new(
        self,
        key: "tuple[tuple[str, AttributeValue], ...]",
        cleaned: "dict[str, AttributeValue]",
        from_source: bool,  # noqa: FBT001 - as above
    ) -> Handle:
        shares, allowance = not self._own_limit, self._registry.allowance
        if len(self._handles) >= self._limit:
            return self._overflow()
        if shares and allowance.is_used_up():
            return self._overflow(of_process=True)
        stored = key
        if not from_source:  # the rules take longer to load than all of recording
            scrubbed = frozen(self._registry.scrub.attributes(cleaned))
            if scrubbed != key:
                stored = scrubbed
        made = self._make(stored)
        if shares:
            allowance.take()
        return self._handles.setdefault(key, made)

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

    def _overflow(self, *, of_process: bool = False) -> Handle:
        made = OVERFLOW in self._aliases
        handle = self._aliases.setdefault(OVERFLOW, self._make(OVERFLOW))
        if not made:
            reason = f"it has {self._limit} of them"
            if of_process:
                limit = self._registry.allowance.process_sets_limit
                reason = f"all instruments together have {limit} of them"
            notice(
                f"overflow {self.name}",
                f"further attribute sets of {self.name} are counted together as "
                f"otel.metric.overflow: {reason}. "
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
