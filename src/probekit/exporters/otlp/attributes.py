"""Attributes, resource and scope as OTLP's common messages; types are kept; pure."""

from collections.abc import Iterable, Mapping

from probekit._version import __version__
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
_PAIRS_LIMIT = 8192
_REMEMBERED_CHARACTERS = 64
_SMALL = 4096

_keys: "dict[str, bytes]" = {}
_texts: "dict[tuple[str, AttributeValue], bytes]" = {}
_numbers: "dict[tuple[str, AttributeValue], bytes]" = {}


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


def key_values(
    head: bytes, attributes: "Mapping[str, AttributeValue] | FrozenAttributes"
) -> bytes:
    """Repeated ``KeyValue`` fields.

    Args:
        head: The tag under which the outer message has them.
        attributes: A mapping, or sorted pairs.

    """
    if not attributes:
        return b""
    pairs: Iterable[tuple[str, AttributeValue]]
    if type(attributes) is dict:
        pairs = attributes.items()
    else:
        pairs = attributes.items() if isinstance(attributes, Mapping) else attributes
    found = [b""]
    for item in pairs:
        value = item[1]  # the pair as it comes is the key: no other is made
        if type(value) is str:
            pair = _texts.get(item) or _text_pair(item[0], value)
        elif type(value) is int and 0 <= value < _SMALL:
            pair = _numbers.get(item) or _number_pair(item[0], value)
        else:
            pair = _pair(item[0], any_value(value))
        found.append(pair)
    return head.join(found)


def _text_pair(name: str, value: str) -> bytes:
    """A length and a ``KeyValue`` with text; remembered when short."""
    made = _pair(name, any_value(value))
    if len(value) <= _REMEMBERED_CHARACTERS:
        if len(_texts) >= _PAIRS_LIMIT:
            _texts.clear()
        _texts[name, value] = made
    return made


def _number_pair(name: str, value: int) -> bytes:
    """The same with a small whole number: a status, a size, a line."""
    if len(_numbers) >= _PAIRS_LIMIT:
        _numbers.clear()
    made = _numbers[name, value] = _pair(name, any_value(value))
    return made


def _pair(name: str, value: bytes) -> bytes:
    """A length and a ``KeyValue`` of *name* and an encoded ``AnyValue``."""
    content = (_keys.get(name) or _key(name)) + varint(len(value)) + value
    return varint(len(content)) + content


def _key(name: str) -> bytes:
    """A ``KeyValue`` up to its value's tag; remembered: names are few, values many."""
    if len(_keys) >= _KEYS_LIMIT:
        _keys.clear()
    made = _keys[name] = length_delimited(1, utf8(str(name))) + b"\x12"
    return made


def resource_field(resource: Resource) -> bytes:
    """The field ``resource`` (1) of the three ``Resource…`` messages."""
    return length_delimited(1, key_values(b"\x0a", resource.attributes))


def scope_field(name: str = "probekit") -> bytes:
    """The field ``scope`` (1) of the three ``Scope…`` messages."""
    version = __version__ if name == "probekit" else ""
    return length_delimited(1, text(1, name) + text(2, version))
