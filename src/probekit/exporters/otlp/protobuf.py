"""Protocol-buffer wire format: just what OTLP needs, written for speed; pure.

A message is bytes; a field is its tag and its content. Fields are written in the order
of their numbers, as the generated classes do it, so that bytes can be compared; spans
are not (``traces``).
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import TypeAlias

FieldValue: TypeAlias = "int | bytes"
Piece: TypeAlias = "bytes | bytearray"

pack_double = Struct("<d").pack
pack_fixed64 = Struct("<Q").pack
pack_fixed32 = Struct("<I").pack
_HIGHEST_FIXED64 = (1 << 64) - 1
_SHORT = 0x80  # a varint below fits into one byte
_TWO_BYTES = 0x4000  # one below fits into two
ONE_BYTE = tuple(bytes((i,)) for i in range(_SHORT))
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT_BYTES = 10


def varint(value: int) -> bytes:
    """A number of at most 64 bits; negative ones as two's complement of 64 bits.

    Example:
        >>> varint(300).hex(), len(varint(-1))
        ('ac02', 10)

    """
    if 0 <= value < _SHORT:
        return ONE_BYTE[value]
    if _SHORT <= value < _TWO_BYTES:  # the length of most messages
        return bytes((value & 0x7F | 0x80, value >> 7))
    value &= _HIGHEST_FIXED64
    found = bytearray()
    while value >= _SHORT:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def tag(number: int, wire: int) -> bytes:
    """The tag of field *number* with wire type *wire*."""
    return varint(number << 3 | wire)


def length_delimited(number: int, content: bytes) -> bytes:
    """Field *number* holding a message, text or packed numbers; written also if empty.

    Example:
        >>> length_delimited(1, b"ab").hex()
        '0a026162'

    """
    return tag(number, _BYTES) + varint(len(content)) + content


def enclosed(number: int, pieces: "Sequence[Piece]") -> "list[Piece]":
    r"""Field *number* holding the message of *pieces*; still in pieces.

    Messages within messages are joined once, at the end: each step would copy all.

    Example:
        >>> enclosed(1, [b"a", b"b"])
        [b'\n\x02', b'a', b'b']

    """
    return [tag(number, _BYTES) + varint(sum(map(len, pieces))), *pieces]


def text(number: int, value: str) -> bytes:
    """Field *number* holding text; nothing when it is empty."""
    return length_delimited(number, utf8(value)) if value else b""


def unsigned(number: int, value: int) -> bytes:
    """Field *number* holding an enumeration or a number; nothing when it is 0."""
    return tag(number, _VARINT) + varint(value) if value else b""


def fixed64(number: int, value: int) -> bytes:
    """Field *number* holding a moment; nothing when it is 0."""
    return tag(number, _FIXED64) + moment(value) if value else b""


def moment(time_unix_ns: int) -> bytes:
    """The eight bytes of a moment; what they cannot hold becomes their edge."""
    return pack_fixed64(min(max(time_unix_ns, 0), _HIGHEST_FIXED64))


def fixed32(number: int, value: int) -> bytes:
    """Field *number* holding flags; nothing when they are 0."""
    value &= 0xFFFFFFFF
    return tag(number, _FIXED32) + pack_fixed32(value) if value else b""


def double(number: int, value: float) -> bytes:
    """Field *number* holding a float with presence: written also when it is 0."""
    return tag(number, _FIXED64) + pack_double(value)


def utf8(value: str) -> bytes:
    """*value* as UTF-8; a surrogate without its partner becomes a question mark."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def identifier(number: int, hexadecimal: str, size_bytes: int) -> bytes:
    """Field *number* holding a trace or span id; nothing unless it is one."""
    try:
        content = bytes.fromhex(hexadecimal)
    except ValueError:
        return b""
    return length_delimited(number, content) if len(content) == size_bytes else b""


def fields(message: bytes) -> "Iterator[tuple[int, FieldValue]]":
    """The fields of *message* in order: varints and fixed numbers as int, else bytes.

    Raises:
        ValueError: The bytes are no message.

    Example:
        >>> list(fields(length_delimited(2, b"x") + unsigned(1, 7)))
        [(2, b'x'), (1, 7)]

    """
    position, length = 0, len(message)
    while position < length:
        key = message[position]
        if key < _SHORT:
            position += 1
        else:
            key, position = _read_varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, position = _read_varint(message, position)
            yield number, value
            continue
        size = _SIZES.get(wire)
        if wire == _BYTES:
            size, position = _read_varint(message, position)
        if size is None or position + size > length:
            raise ValueError("not a protocol-buffer message")
        content = message[position : position + size]
        position += size
        yield number, content if wire == _BYTES else int.from_bytes(content, "little")


def _read_varint(message: bytes, position: int) -> "tuple[int, int]":
    if position < len(message) and message[position] < _SHORT:
        return message[position], position + 1
    value = 0
    for count in range(_LONGEST_VARINT_BYTES):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << (7 * count)
        if byte < _SHORT:
            return value, position
    raise ValueError("not a protocol-buffer message")
