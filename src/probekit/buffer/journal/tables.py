"""Many records as columns: one kind of value after another, each in one call of C.

A column is a kind, a length and bytes: texts joined by NUL, doubles, whole numbers, one
value that stands for all, or JSON where nothing shorter is true to the types. Pure.
"""

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any

from probekit.buffer import records
from probekit.buffer.journal.columns import Reader
from probekit.model import Event, Span, SpanEvent, SpanLink

_JSON, _SAME, _TEXTS, _DOUBLES, _INTS, _SMALL, _SHAPES, _DICTS = range(8)
_ROWS_A_SHAPE = 8  # attribute sets with fewer rows each are quicker as JSON
_COLUMN = struct.Struct("<BI")
Packed = tuple[int, bytes]


class Unfit(Exception):
    """The values have no such form."""


def encode_events(events: "Sequence[Event]") -> bytes:
    """A table of events without their numbers.

    Raises:
        ValueError, TypeError, RecursionError: JSON cannot take one of them.

    """
    return _encode(events, _EVENT_COLUMNS)


def decode_events(section: bytes) -> "list[Event]":
    """What :func:`encode_events` wrote."""
    return list(map(Event, *_decode(section, len(_EVENT_COLUMNS))))


def encode_spans(spans: "Sequence[Span]") -> bytes:
    """A table of spans without their numbers.

    Raises:
        ValueError, TypeError, RecursionError: JSON cannot take one of them.

    """
    return _encode(spans, _SPAN_COLUMNS)


def decode_spans(section: bytes) -> "list[Span]":
    """What :func:`encode_spans` wrote."""
    columns = _decode(section, len(_SPAN_COLUMNS))
    columns[8] = [tuple(map(_moment, rows)) for rows in columns[8]]
    columns[9] = [tuple(map(_link, rows)) for rows in columns[9]]
    return list(map(Span, *columns))


def _moment(row: "Sequence[Any]") -> SpanEvent:
    at, name, attributes = row
    return SpanEvent(at, name, records.load_attributes(attributes))


def _link(row: "Sequence[Any]") -> SpanLink:
    trace_id, span_id, attributes, state = row
    return SpanLink(trace_id, span_id, records.load_attributes(attributes), state)


def _encode(rows: "Sequence[Any]", columns: "Iterable[_Form]") -> bytes:
    parts = [len(rows).to_bytes(4, "little")]
    for values_of, pack in columns:
        values = list(map(values_of, rows))
        parts += _framed(_packed(values, pack))
    return b"".join(parts)


def _decode(section: bytes, width: int) -> "list[Sequence[Any]]":
    reader = Reader(section)
    rows = reader.u32()
    if not 0 < rows <= len(section):  # each has a time, which takes more
        raise ValueError(f"no table has {rows} rows in {len(section)} bytes")
    return [_column(reader, rows) for _ in range(width)]


def _packed(values: "list[Any]", pack: "Callable[[list[Any]], Packed]") -> Packed:
    try:
        return pack(values)
    except Unfit:
        return _JSON, records.dump(values).encode("ascii")


def _framed(packed: Packed) -> "tuple[bytes, bytes]":
    return _COLUMN.pack(packed[0], len(packed[1])), packed[1]


def _texts(values: "list[Any]") -> Packed:
    try:
        joined = "\0".join(values)
    except TypeError as error:
        raise Unfit from error
    if values[0] == values[-1] and _all_same(values):
        return _SAME, records.dump(values[0]).encode("ascii")
    if joined.count("\0") != len(values) - 1:
        raise Unfit
    return _TEXTS, joined.encode("utf-8", "surrogatepass")


def _all_same(values: "list[Any]") -> bool:
    return values.count(values[0]) == len(values)


def _doubles(values: "list[Any]") -> Packed:
    return _DOUBLES, struct.pack(f"<{len(values)}d", *values)


def _ints(values: "list[Any]") -> Packed:
    try:
        return _INTS, struct.pack(f"<{len(values)}q", *values)
    except struct.error as error:  # more than 64 bits
        raise Unfit from error


def _small(values: "list[Any]") -> Packed:
    try:
        return _SMALL, bytes(values)
    except (ValueError, TypeError) as error:
        raise Unfit from error


def _sparse(values: "list[Any]") -> Packed:
    """Lists, of which most often all are empty."""
    if any(values):
        raise Unfit
    return _SAME, b"[]"


def _values(values: "list[Any]") -> Packed:
    """Attribute values under one key, in the form of their one type."""
    types = set(map(type, values))
    pack = _OF_TYPE.get(types.pop()) if len(types) == 1 else None
    if pack is None:
        raise Unfit
    return pack(values)


_OF_TYPE: "dict[type, Callable[[list[Any]], Packed]]" = {
    str: _texts,
    float: _doubles,
    int: _ints,
}


def _attributes(values: "list[Any]") -> Packed:
    """Attributes by shape, that is, by their keys in order; each key is a column."""
    dicts = [each if type(each) is dict else dict(each) for each in values]
    keys = list(map(tuple, dicts))
    shapes = {keys[0]: dicts} if _all_same(keys) else _by_shape(keys, dicts)
    named = all(type(key) is str for key in chain.from_iterable(shapes))
    if not named or len(shapes) * _ROWS_A_SHAPE > len(dicts) + _ROWS_A_SHAPE:
        return _DICTS, records.dump(dicts).encode("ascii")
    head = [[shape, len(rows)] for shape, rows in shapes.items()]
    parts = [*_framed((_JSON, records.dump(head).encode("ascii")))]
    if len(shapes) > 1:
        place = {shape: at for at, shape in enumerate(shapes)}
        parts += _framed(_packed([place[each] for each in keys], _small))
    for shape, rows in shapes.items():
        for key in shape:
            values = list(map(itemgetter(key), rows))
            parts += _framed(_packed(values, _values))
    return _SHAPES, b"".join(parts)


def _by_shape(
    keys: "list[tuple[str, ...]]", dicts: "list[dict[str, Any]]"
) -> "dict[tuple[str, ...], list[dict[str, Any]]]":
    shapes: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for key, each in zip(keys, dicts, strict=True):
        shapes.setdefault(key, []).append(each)
    return shapes


def _column(reader: Reader, rows: int) -> "Sequence[Any]":
    kind, size_bytes = _COLUMN.unpack(reader.take(_COLUMN.size))
    data = reader.take(size_bytes)
    column = _LOADERS[kind](data, rows)
    if len(column) != rows:
        raise ValueError(f"{len(column)} values for {rows} rows")
    return column


def _load_json(data: bytes, _rows: int) -> "list[Any]":
    return list(map(records.frozen, json.loads(data)))


def _load_dicts(data: bytes, _rows: int) -> "list[dict[str, Any]]":
    return list(map(records.load_attributes, json.loads(data)))


def _load_same(data: bytes, rows: int) -> "list[Any]":
    return [json.loads(data)] * rows


def _load_texts(data: bytes, _rows: int) -> "list[str]":
    return data.decode("utf-8", "surrogatepass").split("\0")


def _load_doubles(data: bytes, rows: int) -> "Sequence[float]":
    return struct.unpack(f"<{rows}d", data)


def _load_ints(data: bytes, rows: int) -> "Sequence[int]":
    return struct.unpack(f"<{rows}q", data)


def _load_small(data: bytes, _rows: int) -> bytes:
    return data


def _load_shapes(data: bytes, rows: int) -> "list[dict[str, Any]]":
    reader = Reader(data)
    kind, size_bytes = _COLUMN.unpack(reader.take(_COLUMN.size))
    if kind != _JSON:
        raise ValueError(f"shapes in a column of kind {kind}")
    shapes = json.loads(reader.take(size_bytes))
    order = _column(reader, rows) if len(shapes) > 1 else bytes(rows)
    groups = [_group(reader, keys, count) for keys, count in shapes]
    if len(groups) == 1:
        return groups[0]
    turns = [iter(group) for group in groups]
    return [next(turns[at]) for at in order]


def _group(reader: Reader, keys: "list[str]", count: int) -> "list[dict[str, Any]]":
    if not keys:
        return [{} for _ in range(count)]
    columns = [_column(reader, count) for _ in keys]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


_LOADERS: "dict[int, Callable[[bytes, int], Sequence[Any]]]" = {
    _JSON: _load_json,
    _SAME: _load_same,
    _TEXTS: _load_texts,
    _DOUBLES: _load_doubles,
    _INTS: _load_ints,
    _SMALL: _load_small,
    _SHAPES: _load_shapes,
    _DICTS: _load_dicts,
}

_Form = tuple[Callable[[Any], Any], Callable[[list[Any]], Packed]]
_EVENT_COLUMNS: "tuple[_Form, ...]" = (
    (attrgetter("time_unix_ns"), _ints),
    (attrgetter("name"), _texts),
    (attrgetter("attributes"), _attributes),
    (attrgetter("severity"), _small),
    (attrgetter("body"), _texts),
    (attrgetter("trace_id"), _texts),
    (attrgetter("span_id"), _texts),
)
_SPAN_COLUMNS: "tuple[_Form, ...]" = (
    (attrgetter("trace_id"), _texts),
    (attrgetter("span_id"), _texts),
    (attrgetter("parent_span_id"), _texts),
    (attrgetter("name"), _texts),
    (attrgetter("kind"), _small),
    (attrgetter("start_unix_ns"), _ints),
    (attrgetter("end_unix_ns"), _ints),
    (attrgetter("attributes"), _attributes),
    (records.moments_row, _sparse),
    (records.links_row, _sparse),
    (attrgetter("status"), _small),
    (attrgetter("status_message"), _texts),
    (attrgetter("trace_state"), _texts),
    (attrgetter("flags"), _small),
    (attrgetter("scope"), _texts),
)
