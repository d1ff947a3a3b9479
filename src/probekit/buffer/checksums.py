"""Checksums of stored rows: SQLite has none, and a flipped bit would be a wrong value.

Each is a CRC-32 over all that is sent of a row and over its key, so that a row that
turns up in another one's place is found out as well. Rows of an older file have none
(NULL) and are taken as they are.
"""

import struct
from typing import Any
from zlib import crc32

_POINT = struct.Struct("<qqqdddd")
_NOTHING = float("nan")


def of_point(row: "tuple[Any, ...]") -> int:
    """Of (window, series, count, value, total, min, max, bins)."""
    window, series, count, *numbers, bins = row
    plain = [_NOTHING if x is None else x + 0.0 for x in numbers]  # -0.0 is stored as 0
    head = crc32(_POINT.pack(window, series, count, *plain))
    return head if bins is None else crc32(bins, head)


def sealed(row: "tuple[Any, ...]") -> "tuple[Any, ...]":
    """A row of ``point`` with its checksum."""
    return (*row, of_point(row))


def of_words(*words: "str | int") -> int:
    """Of texts and whole numbers.

    Example:
        >>> of_words(1, "a") == of_words("1", "a") != of_words(1, "b")
        True

    """
    return crc32("\0".join(map(str, words)).encode("utf-8", "surrogatepass"))


def is_wrong(stored: "int | None", counted: int) -> bool:
    """Whether a row is not what was written."""
    return stored is not None and stored != counted
