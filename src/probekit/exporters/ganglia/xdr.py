"""Ganglia's packets, as gmetric sends them; pure.

XDR: numbers are big-endian words, a text is its length, its bytes and zeros up to a
multiple of four. A metric needs a metadata packet before its values; a value goes as
text, which keeps more digits than gmond's own printing.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Slope: TypeAlias = Literal["zero", "positive", "negative", "both", "unspecified"]
SLOPES: "dict[Slope, int]" = {
    "zero": 0, "positive": 1, "negative": 2, "both": 3, "unspecified": 4,
}  # fmt: skip
METADATA, STRING_VALUE = 128, 133
_WORD = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Source:
    """Whom a packet speaks for.

    Attributes:
        host: The host's name; ``ip:name`` when it is spoofed.
        spoofed: Whether gmond shall believe it instead of the sender's address.
    """

    host: str
    spoofed: bool = False


@dataclass(frozen=True, slots=True)
class Metadata:
    """What gmond must know of a metric before it takes a value.

    Attributes:
        name: Of the metric.
        units: For people; may be empty.
        slope: ``positive`` for what only rises, ``both`` for the rest.
        tmax_s: A value is expected at least so often, seconds.
        dmax_s: The metric is forgotten after so long without a value; 0 for never.
        extra: Further pairs, ``GROUP``, ``DESC``, ``TITLE``.
    """

    name: str
    units: str = ""
    slope: Slope = "both"
    tmax_s: int = 60
    dmax_s: int = 0
    extra: "Sequence[tuple[str, str]]" = ()


def metadata(about: Metadata, source: Source) -> bytes:
    """The metadata packet of a metric; its type is ``double``."""
    extra = list(about.extra)
    if source.spoofed:
        extra.append(("SPOOF_HOST", source.host))
    parts = [
        _head(METADATA, about.name, source),
        _text("double"),
        _text(about.name),
        _text(about.units),
        _WORD.pack(SLOPES[about.slope]),
        _WORD.pack(about.tmax_s),
        _WORD.pack(about.dmax_s),
        _WORD.pack(len(extra)),
    ]
    parts += [_text(key) + _text(word) for key, word in extra]
    return b"".join(parts)


def value(name: str, said: str, source: Source) -> bytes:
    r"""A value packet.

    Example:
        >>> value("n", "1", Source("h"))[:12]
        b'\x00\x00\x00\x85\x00\x00\x00\x01h\x00\x00\x00'

    """
    return _head(STRING_VALUE, name, source) + _text("%s") + _text(said)


def _head(kind: int, name: str, source: Source) -> bytes:
    spoofed = _WORD.pack(source.spoofed)
    return _WORD.pack(kind) + _text(source.host) + _text(name) + spoofed


def _text(text: str) -> bytes:
    encoded = text.encode("ascii", "replace")
    return _WORD.pack(len(encoded)) + encoded + b"\0" * (-len(encoded) % 4)
