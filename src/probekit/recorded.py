"""The nouns that application threads make: a series, and something that happened.

They belong to ``model``, whose other nouns are made by the draining thread, and are
taken from there by everybody but recording. Written by hand: ``dataclasses`` loads
``inspect`` and twenty more, and compiles each class anew; decorating a first function
would take twice as long.
"""

from collections.abc import Mapping, Sequence

from probekit.hints import Any, Literal, TypeAlias

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import ClassVar, NoReturn

Scalar: TypeAlias = "str | bool | int | float"
AttributeValue: TypeAlias = "Scalar | Sequence[Scalar]"
Attributes: TypeAlias = "Mapping[str, AttributeValue]"
FrozenAttributes: TypeAlias = "tuple[tuple[str, AttributeValue], ...]"
Kind: TypeAlias = Literal["counter", "up_down_counter", "gauge", "histogram"]
Signal: TypeAlias = Literal["metrics", "events", "spans"]

SEVERITY_INFO = 9
SEVERITY_WARN = 13
SEVERITY_ERROR = 17
SEVERITY_FATAL = 21


class _Frozen:
    """What ``dataclass(frozen=True, slots=True)`` would give."""

    __slots__: "tuple[str, ...]" = ()

    if TYPE_CHECKING:
        # Set by ``model``, so that ``dataclasses.replace`` takes these too.
        __dataclass_fields__: ClassVar[dict[str, Any]]

    def _values(self) -> "tuple[Any, ...]":
        return tuple(getattr(self, name) for name in self.__slots__)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse."""
        _refuse(name)

    def __delattr__(self, name: str) -> None:
        """Refuse."""
        _refuse(name)

    def __reduce__(self) -> "tuple[Any, ...]":
        """Pickle and copy by the values."""
        return type(self), self._values()

    def __repr__(self) -> str:
        """Say all values."""
        pairs = zip(self.__slots__, self._values(), strict=True)
        told = ", ".join(f"{name}={value!r}" for name, value in pairs)
        return f"{type(self).__qualname__}({told})"

    def __eq__(self, other: object) -> bool:
        """Equal to one of the same class with the same values."""
        if other.__class__ is not self.__class__ or not isinstance(other, _Frozen):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        """By the values."""
        return hash(self._values())


def _refuse(name: str) -> "NoReturn":
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot change {name!r}: recorded things stay")


_set = object.__setattr__


class Series(_Frozen):
    """One instrument with one set of attributes.

    Attributes:
        name: Dotted metric name, as NAMES of the semantic conventions.
        kind: What the numbers mean and how they merge.
        unit: UCUM unit, ``s``, ``By``, ``{order}``; empty when none.
        attributes: Sorted by key; values are scalars or tuples of scalars.
        description: One line for people; not part of the identity.
        ends_with_process: True for an up-down counter that describes the process
            itself (requests in flight): what a dead process left is taken back.
    """

    name: str
    kind: "Kind"
    unit: str
    attributes: "FrozenAttributes"
    description: str
    ends_with_process: bool

    __slots__ = (  # noqa: RUF023 - in the order of the arguments
        "name",
        "kind",
        "unit",
        "attributes",
        "description",
        "ends_with_process",
    )

    def __init__(  # noqa: PLR0917 - as the fields stand
        self,
        name: str,
        kind: "Kind",
        unit: str = "",
        attributes: "FrozenAttributes" = (),
        description: str = "",
        ends_with_process: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Keep the values."""
        _set(self, "name", name)
        _set(self, "kind", kind)
        _set(self, "unit", unit)
        _set(self, "attributes", attributes)
        _set(self, "description", description)
        _set(self, "ends_with_process", ends_with_process)

    def __eq__(self, other: object) -> bool:
        """Equal when name, kind, unit and attributes are."""
        if other.__class__ is not self.__class__ or not isinstance(other, Series):
            return NotImplemented
        return (self.name, self.kind, self.unit, self.attributes) == (
            other.name,
            other.kind,
            other.unit,
            other.attributes,
        )

    def __hash__(self) -> int:
        """By what makes two of them equal."""
        return hash((self.name, self.kind, self.unit, self.attributes))


class Event(_Frozen):
    """Something that happened once: a business event, an exception, a log record.

    Attributes:
        time_unix_ns: When, wall clock, nanoseconds since 1970.
        name: Event name, ``order.refunded``; ``exception`` for exceptions.
        attributes: Scrubbed; types are kept.
        severity: OpenTelemetry severity number, 1 to 24; 9 is info, 17 error.
        body: Text for people; may be empty.
        trace_id: 32 hex digits, or empty.
        span_id: 16 hex digits, or empty.
        number: Rises by one in the buffer; 0 before the buffer has it.
    """

    time_unix_ns: int
    name: str
    attributes: "Attributes"
    severity: int
    body: str
    trace_id: str
    span_id: str
    number: int

    __slots__ = (  # noqa: RUF023 - in the order of the arguments
        "time_unix_ns",
        "name",
        "attributes",
        "severity",
        "body",
        "trace_id",
        "span_id",
        "number",
    )

    def __init__(  # noqa: PLR0917 - as the fields stand
        self,
        time_unix_ns: int,
        name: str,
        attributes: "Attributes | None" = None,
        severity: int = SEVERITY_INFO,
        body: str = "",
        trace_id: str = "",
        span_id: str = "",
        number: int = 0,
    ) -> None:
        """Keep the values."""
        _set(self, "time_unix_ns", time_unix_ns)
        _set(self, "name", name)
        _set(self, "attributes", {} if attributes is None else attributes)
        _set(self, "severity", severity)
        _set(self, "body", body)
        _set(self, "trace_id", trace_id)
        _set(self, "span_id", span_id)
        _set(self, "number", number)
