"""Numbers of a frame as little-endian columns; pure.

One section is a tag, a length and bytes; ``frames`` puts them in a frame. Nothing here
checks sums: bytes are trusted because the frame's CRC held.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence

from probekit.histogram import Histogram
from probekit.model import Harvest

_BINNED_HEAD = struct.Struct("<IdddI")
_BIG_ENDIAN = sys.byteorder == "big"


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
    rows: "Iterable[tuple[int, Sequence[float]]]",
) -> "tuple[bytes, int]":
    """Few values of many histograms, as they are.

    Returns:
        The bytes, and how many values were left out because they are no numbers.

    """
    ids, lengths, values = array("I"), array("I"), array("d")
    left_out = 0
    for local_id, row in rows:
        before = len(values)
        try:
            values.extend(row)
        except (TypeError, ValueError, OverflowError):
            del values[before:]
            good = [float(v) for v in row if isinstance(v, (int, float)) and _fits(v)]
            left_out += len(row) - len(good)
            values.extend(good)
        ids.append(local_id)
        lengths.append(len(values) - before)
    head = len(ids).to_bytes(4, "little")
    return head + little(ids) + little(lengths) + little(values), left_out


def _fits(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def decode_raw(reader: Reader) -> "list[tuple[int, Sequence[float]]]":
    """What :func:`encode_raw` wrote."""
    length = reader.u32()
    ids, lengths = reader.ints("I", length), reader.ints("I", length)
    return [
        (local_id, reader.floats(count))
        for local_id, count in zip(ids, lengths, strict=True)
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


def used_ids(harvest: Harvest) -> "set[int]":
    """Local ids that the harvest speaks of."""
    ids = set(harvest.sum_ids)
    ids.update(harvest.gauge_ids)
    ids.update(local_id for local_id, _ in harvest.raw)
    ids.update(local_id for local_id, _ in harvest.binned)
    return ids
