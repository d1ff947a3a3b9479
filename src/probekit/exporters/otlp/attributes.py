"""Attributes, resource and scope as OTLP's common messages; types are kept; pure."""

from collections.abc import Iterable, Mapping

from probekit._version import __version__
from probekit.exporters.cache import Memo
from probekit.exporters.otlp.protobuf import (
    length_delimited,
    pack_double,
    text,
    utf8,
    varint,
)
from probekit.model import AttributeValue, FrozenAttributes, Resource

_LOWEST_INT, _HIGHEST_INT = -(1 << 63), (1 << 63) - 1
_TRUE, _FALSE = b"\x10\x01", b"\x10\x00"
_KEYS_LIMIT = 4096
_PAIRS_LIMIT = 4096  # of each tag
_REMEMBERED_CHARACTERS = 64
_SMALL = 4096

# Before a text of so many bytes: the length of its AnyValue, its tag, its own length.
_BEFORE_TEXT = tuple(bytes((size + 2, 0x0A, size)) for size in range(126))


def any_value(value: AttributeValue) -> bytes:
    """An ``AnyValue``: text, bool, int, float and sequences of them.

    An integer beyond 64 bits has no place in the message and becomes its decimal text;
    a value of another type becomes its type's name in angle brackets.
    """
    kind = type(value)
    if kind is str:
        content = utf8(value)  # type: ignore[arg-type]
        return b"\x0a" + varint(len(content)) + content
    if kind is bool:
        return _TRUE if value else _FALSE
    if kind is int:
        return _integer(value)  # type: ignore[arg-type]
    if kind is float:
        return b"\x21" + pack_double(value)
    return _unusual(value)


def _integer(value: int) -> bytes:
    if _LOWEST_INT <= value <= _HIGHEST_INT:
        return b"\x18" + varint(value)
    return any_value(hex(value) if value.bit_length() > 1024 else str(value))  # noqa: PLR2004 - far below Python's limit on decimal digits


def _unusual(value: object) -> bytes:
    if value is None:
        return b""
    for kind in (str, bool, int, float):  # subclasses: an enum's member, numpy's float
        if isinstance(value, kind):
            return any_value(_plain(kind, value))
    if isinstance(value, bytes):
        return length_delimited(7, value)
    if isinstance(value, (tuple, list)):
        return length_delimited(
            5, b"".join(length_delimited(1, any_value(item)) for item in value)
        )
    return any_value(f"<{type(value).__name__}>")


def _plain(kind: type, value: object) -> AttributeValue:
    """*value* as exactly *kind*, without calling what a subclass may override."""
    if kind is str:
        return str.__str__(value)
    if kind is int:
        return int.__int__(value)  # type: ignore[arg-type]
    return float.__float__(value)  # type: ignore[arg-type]


def _key(name: str) -> bytes:
    """A ``KeyValue`` up to its value's tag."""
    return length_delimited(1, utf8(str(name))) + b"\x12"


_keys: "Memo[str, bytes]" = Memo(_key, _KEYS_LIMIT)  # names are few, values many


class KeyValues:
    """Repeated ``KeyValue`` fields under one tag; pairs that recur are remembered.

    Args:
        tag: The tag under which the outer message has them.

    Attributes:
        known: Name → value → the field of the two. Only for a ``str`` or an ``int``:
            ``True`` and ``1.0`` equal 1, and are not it.
    """

    __slots__ = ("_count", "_tag", "known")

    def __init__(self, tag: bytes) -> None:
        """Start with an empty memory."""
        self._tag = tag
        # Two dicts, because both hashes are kept by their texts, and a pair's is not.
        self.known: dict[str, dict[AttributeValue, bytes]] = {}
        self._count = 0

    def of(
        self, attributes: "Mapping[str, AttributeValue] | FrozenAttributes"
    ) -> bytes:
        """All fields in one piece.

        Args:
            attributes: A mapping, or sorted pairs.

        """
        if not attributes:
            return b""
        known = self.known
        pairs: Iterable[tuple[str, AttributeValue]]
        pairs = attributes.items() if isinstance(attributes, Mapping) else attributes
        found: list[bytes] = []
        for name, value in pairs:
            kind = type(value)
            if kind is str or kind is int:
                try:
                    found.append(known[name][value])
                except KeyError:
                    found.append(self.field(name, value))
            else:
                found.append(self.field(name, value))
        return b"".join(found)

    def field(self, name: str, value: AttributeValue) -> bytes:
        """The field of a pair that is not known; of a short text or small number, now.

        Args:
            name: The attribute's name.
            value: Its value.

        """
        if type(value) is str:
            made = self._text(_keys[name], utf8(value))
            recurs = len(value) <= _REMEMBERED_CHARACTERS
        else:
            content = any_value(value)
            content = _keys[name] + varint(len(content)) + content
            made = self._tag + varint(len(content)) + content
            recurs = type(value) is int and 0 <= value < _SMALL
        if recurs:
            if self._count >= _PAIRS_LIMIT:
                self.known.clear()
                self._count = 0
            self._count += 1
            self.known.setdefault(name, {})[value] = made
        return made

    def _text(self, key: bytes, content: bytes) -> bytes:
        size = len(content)
        if size < len(_BEFORE_TEXT):
            before = _BEFORE_TEXT[size]
        else:
            before = b"\x0a" + varint(size)
            before = varint(len(before) + size) + before
        return (
            self._tag + varint(len(key) + len(before) + size) + key + before + content
        )


_RESOURCE = KeyValues(b"\x0a")


def resource_field(resource: Resource) -> bytes:
    """The field ``resource`` (1) of the three ``Resource…`` messages."""
    return length_delimited(1, _RESOURCE.of(resource.attributes))


def scope_field(name: str = "probekit") -> bytes:
    """The field ``scope`` (1) of the three ``Scope…`` messages."""
    version = __version__ if name == "probekit" else ""
    return length_delimited(1, text(1, name) + text(2, version))
