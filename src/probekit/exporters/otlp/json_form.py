"""An encoded request as OTLP/JSON: one walk over the bytes by the table; pure.

The JSON form is made of the protobuf form, so the two cannot differ. Identifiers are
hexadecimal, numbers of 64 bits are decimal text, NaN and infinities are words.
"""

import base64
import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

from probekit.exporters.otlp.protobuf import fields
from probekit.exporters.otlp.schema import MESSAGES

_EXACT = 1 << 53  # up to here a reader that makes floats of numbers loses nothing
_WORDS = {math.inf: "Infinity", -math.inf: "-Infinity"}


def as_json(kind: str, message: bytes) -> bytes:
    """The request's body.

    Args:
        kind: ``metrics``, ``logs`` or ``traces``.
        message: From one of the encoders; empty stays empty.

    """
    if not message:
        return b""
    document = _message(kind, message)
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode()


def _message(kind: str, content: bytes) -> "dict[str, Any]":
    known, found = MESSAGES[kind], dict[str, Any]()
    for number, value in fields(content):
        name, what = known[number]
        if what.endswith("[]"):
            found.setdefault(name, []).append(_message(what[:-2], _bytes(value)))
        elif what in _SCALARS:
            found[name] = _SCALARS[what](value)
        else:
            found[name] = _message(what, _bytes(value))
    return found


def _bytes(value: "int | bytes") -> bytes:
    if isinstance(value, int):
        raise TypeError("the table says message, the encoder wrote a number")
    return value


def _double(bits: int) -> "float | str":
    (value,) = struct.unpack("<d", bits.to_bytes(8, "little"))
    return _named(value)


def _named(value: float) -> "float | str":
    return "NaN" if math.isnan(value) else _WORDS.get(value, value)


def _signed(value: int) -> str:
    return str(value - (1 << 64) if value >= 1 << 63 else value)


def _count(value: int) -> "int | str":
    # Every reader must take numbers as well as text, and one that is written in Rust
    # loses the whole histogram when its counts are text.
    return value if value < _EXACT else str(value)


def _count_list(content: bytes) -> "list[int | str]":
    return [_count(n) for (n,) in struct.iter_unpack("<Q", content)]


def _double_list(content: bytes) -> "list[float | str]":
    return [_named(x) for (x,) in struct.iter_unpack("<d", content)]


_SCALARS: "Mapping[str, Callable[[Any], Any]]" = {
    "text": lambda content: content.decode("utf-8", "replace"),
    "bool": bool,
    "enum": int,
    "int64": _signed,
    "uint64": str,
    "double": _double,
    "hex": bytes.hex,
    "bytes": lambda content: base64.b64encode(content).decode(),
    "count": _count,
    "packed count": _count_list,
    "packed double": _double_list,
}
