"""Numbers of a frame as little-endian columns; pure.

One section is a tag, a length and bytes; ``frames`` puts them in a frame. Nothing here
checks sums: bytes are trusted because the frame's CRC held.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import accumulate, chain
from operator import iconcat, itemgetter
from typing import Any

from probekit.histogram import Histogram
from probekit.model import Harvest

_BINNED_HEAD = struct.Struct("<IdddI")
_BIG_ENDIAN = sys.byteorder == "big"
_FIRST = itemgetter(0)


def little(column: "array[int] | array[float]") -> bytes:
    """The column's bytes, little-endian on any machine."""
    if _BIG_ENDIAN:
        column = column[:]
        column.byteswap()
    return column.tobytes()


class Reader:
    """Takes columns from the front of bytes; a short read raises ``ValueError``."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        """Start at the first byte."""
        self._data = data
        self._at = 0

    def take(self, size_bytes: int) -> bytes:
        """The next *size_bytes* bytes."""
        end = self._at + size_bytes
        if end > len(self._data):
            raise ValueError(f"want {size_bytes} bytes at {self._at}, section is short")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def u32(self) -> int:
        """The next four bytes as a number."""
        return int.from_bytes(self.take(4), "little")

    def ints(self, code: str, length: int) -> "array[int]":
        """A column of *length* integers."""
        column: array[int] = array(code)
        column.frombytes(self.take(length * column.itemsize))
        if _BIG_ENDIAN:
            column.byteswap()
        return column

    def floats(self, length: int) -> "array[float]":
        """A column of *length* doubles."""
        column = array("d")
        column.frombytes(self.take(length * 8))
        if _BIG_ENDIAN:
            column.byteswap()
        return column

    def at_end(self) -> bool:
        """Whether all was taken."""
        return self._at == len(self._data)


def encode_numbers(
    ids: "array[int]",
    values: "array[float]",
    counts: "array[int]",
) -> bytes:
    """Sums or gauges: length, ids, values, counts."""
    head = len(ids).to_bytes(4, "little")
    return head + little(ids) + little(values) + little(counts)


def decode_numbers(
    reader: Reader,
) -> "tuple[array[int], array[float], array[int]]":
    """What :func:`encode_numbers` wrote."""
    length = reader.u32()
    return reader.ints("I", length), reader.floats(length), reader.ints("Q", length)


def encode_raw(
    rows: "Sequence[tuple[int, Sequence[float]]]",
) -> "tuple[bytes, int]":
    """Few values of many histograms, as they are.

    No step of it is taken in Python for each series or value, unless a value is no
    number.

    Args:
        rows: (local id, values); one at least.

    Returns:
        The bytes, and how many values were left out because they are no numbers.

    """
    flat = _end_to_end(rows)  # id, values, id, values, …
    ids, lists = flat[::2], flat[1::2]
    values = _end_to_end(lists)
    try:
        return _pack_raw(ids, lists, values), 0
    except struct.error:
        lists = [list(filter(_is_number, row)) for row in lists]
        good = _end_to_end(lists)
        return _pack_raw(ids, lists, good), len(values) - len(good)


def _pack_raw(
    ids: "Sequence[int]",
    lists: "Sequence[Sequence[float]]",
    values: "Sequence[float]",
) -> bytes:
    length = len(ids)
    form = f"<{1 + 2 * length}I{len(values)}d"
    return struct.pack(form, length, *ids, *map(len, lists), *values)


def _end_to_end(rows: "Iterable[Sequence[Any]]") -> "list[Any]":
    empty: list[Any] = []
    return reduce(iconcat, rows, empty)


def _is_number(value: object) -> bool:
    try:
        struct.pack("<d", value)
    except struct.error:
        return False
    return True


def decode_raw(harvest: Harvest, reader: Reader) -> None:
    """Put what :func:`encode_raw` wrote into *harvest*; single values as columns."""
    length = reader.u32()
    ids, lengths = reader.ints("I", length), reader.ints("I", length)
    values = reader.floats(sum(lengths)).tolist()
    if len(values) == length and min(lengths, default=0):
        harvest.single_ids, harvest.single_values = ids, values
        return
    ends = tuple(accumulate(lengths))
    harvest.raw = [
        (local_id, values[end - count : end])
        for local_id, count, end in zip(ids, lengths, ends, strict=True)
    ]


def encode_binned(rows: "Iterable[tuple[int, Histogram]]") -> bytes:
    """Histograms: id, sum, min, max, length of the blob, blob."""
    parts = []
    for local_id, histogram in rows:
        blob = histogram.to_blob()
        head = _BINNED_HEAD.pack(
            local_id,
            histogram.sum,
            histogram.min,
            histogram.max,
            len(blob),
        )
        parts += [head, blob]
    return (len(parts) // 2).to_bytes(4, "little") + b"".join(parts)


def decode_binned(reader: Reader) -> "list[tuple[int, Histogram]]":
    """What :func:`encode_binned` wrote."""
    rows = []
    for _ in range(reader.u32()):
        local_id, total, low, high, size_bytes = _BINNED_HEAD.unpack(
            reader.take(_BINNED_HEAD.size),
        )
        blob = reader.take(size_bytes)
        rows.append((local_id, Histogram.from_blob(blob, total, low, high)))
    return rows


def unknown_ids(harvest: Harvest, known: "set[int]") -> "set[int]":
    """Local ids that the harvest speaks of and that are not among the *known*."""
    if len(known) == len(harvest.series):  # all that there are
        return set()
    ids = chain(
        harvest.sum_ids,
        harvest.gauge_ids,
        map(_FIRST, harvest.raw),
        map(_FIRST, harvest.binned),
    )
    return set(ids) - known
