"""An encoded request as OTLP/JSON: one walk over the bytes by the table; pure.

The JSON form is made of the protobuf form, so the two cannot differ. Identifiers are
hexadecimal, numbers of 64 bits are decimal text, NaN and infinities are words.
"""

import base64
import json
import math
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from probekit.exporters.otlp.protobuf import fields
from probekit.exporters.otlp.schema import MESSAGES

_REMEMBERED_BYTES = 128
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
    known, found = _FORMS[kind], dict[str, Any]()
    for number, value in fields(content):
        name, repeats, form = known[number]
        if not repeats:
            found[name] = form(value)
        elif name in found:
            found[name].append(form(value))
        else:
            found[name] = [form(value)]
    return found


def _attribute(content: bytes) -> "dict[str, Any]":
    """A ``KeyValue``; short ones are remembered: a series has the same in each window.

    Nobody changes what is returned.
    """
    if len(content) > _REMEMBERED_BYTES:
        return _message("KeyValue", content)
    return _short_attribute(content)


@lru_cache(maxsize=8192)
def _short_attribute(content: bytes) -> "dict[str, Any]":
    return _message("KeyValue", content)


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


def _form(what: str) -> "Callable[[Any], Any]":
    if what in _SCALARS:
        return _SCALARS[what]
    return _attribute if what == "KeyValue" else partial(_message, what)


# Kind of message → number of a field → its name, whether it repeats, what reads it.
_FORMS: "Mapping[str, Mapping[int, tuple[str, bool, Callable[[Any], Any]]]]" = {
    kind: {
        number: (name, what.endswith("[]"), _form(what.removesuffix("[]")))
        for number, (name, what) in known.items()
    }
    for kind, known in MESSAGES.items()
}
