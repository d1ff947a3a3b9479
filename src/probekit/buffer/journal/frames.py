"""The frame: one harvest as bytes with a checksum; pure.

::

    magic 4 | body length u32 | crc32 u32 | sequence u64 | wall time ns i64 | flags u8
    body: sections of tag u8, length u32, bytes

Little-endian throughout. Numbers are columns, and so are many events or spans; JSON is
for few records and for what has no column of one type. The CRC covers header and body,
so that a flipped bit is a bad frame and never a wrong value. Sequences rise by one
within a stream (one process's segments in order).
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from probekit.buffer import records
from probekit.buffer.journal import columns, tables
from probekit.model import Harvest, Series, Signal

MAGIC = b"PKF2"
SHIP_NOW = 1
END_OF_STREAM = 2
LIMIT_BYTES = 1 << 28  # no frame is larger: a length beyond it is damage

_HEADER = struct.Struct("<4sIIQqB")
_SUMMED = struct.Struct("<IQqB")
_SECTION = struct.Struct("<BI")
HEADER_BYTES = _HEADER.size


class BadFrame(ValueError):
    """The bytes are no whole frame: cut, damaged, or not ours."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame.

    Attributes:
        sequence: Rises by one within the stream.
        wall_ns: When it was written, nanoseconds since 1970.
        flags: ``SHIP_NOW``, ``END_OF_STREAM``.
        harvest: What it carries; its local ids refer to the segment's definitions.
        definitions: Local id → series, those that are new in the segment.
        size_bytes: Length of the whole frame.
    """

    sequence: int
    wall_ns: int
    flags: int = 0
    harvest: Harvest = field(default_factory=Harvest)
    definitions: "Mapping[int, Series]" = field(default_factory=dict)
    size_bytes: int = 0


def encode(
    harvest: Harvest,
    definitions: "Mapping[int, Series]",
    *,
    sequence: int,
    wall_ns: int,
    flags: int = 0,
) -> bytes:
    """One frame.

    Values and records that cannot be written are left out and counted as losses of
    reason ``invalid`` in the frame itself.
    """
    parts = [b""]
    for tag, data in _sections(harvest, definitions):
        parts += _SECTION.pack(tag, len(data)), data
    length = sum(map(len, parts))
    total = crc32(_SUMMED.pack(length, sequence, wall_ns, flags))
    for part in parts:
        total = crc32(part, total)
    parts[0] = _HEADER.pack(MAGIC, length, total, sequence, wall_ns, flags)
    return b"".join(parts)


def decode(data: bytes, offset: int = 0) -> Frame:
    """The frame that begins at *offset*.

    Raises:
        BadFrame: It is cut, damaged, or no frame; nothing else is ever raised.

    """
    try:
        magic, length, total, sequence, wall_ns, flags = _HEADER.unpack_from(
            data,
            offset,
        )
    except struct.error as error:
        raise BadFrame(f"no whole header at {offset}") from error
    start = offset + HEADER_BYTES
    if magic != MAGIC or length > LIMIT_BYTES or start + length > len(data):
        raise BadFrame(f"no whole frame at {offset}")
    body = bytes(data[start : start + length])
    if crc32(body, crc32(_SUMMED.pack(length, sequence, wall_ns, flags))) != total:
        raise BadFrame(f"checksum fails at {offset}")
    try:
        harvest, definitions = _decode_body(body)
    except Exception as error:  # whatever the body is, the caller meets one error
        raise BadFrame(f"cannot read the frame at {offset}: {error}") from error
    size_bytes = HEADER_BYTES + length
    return Frame(sequence, wall_ns, flags, harvest, definitions, size_bytes)


_DEFINITIONS, _SUMS, _GAUGES, _RAW, _BINNED = 1, 2, 3, 4, 5
_EVENTS, _PROBLEMS, _SPANS, _LOSSES = 6, 7, 8, 9
_EVENT_TABLE, _SPAN_TABLE = 10, 11
_MANY = 24  # rows from which a table is quicker to write than JSON, and half of it

_Forms = tuple[int, "Callable[[list[Any]], bytes]", int, "Callable[[Any], list[Any]]"]
_EVENT_FORMS: _Forms = (_EVENT_TABLE, tables.encode_events, _EVENTS, records.event_row)
_SPAN_FORMS: _Forms = (_SPAN_TABLE, tables.encode_spans, _SPANS, records.span_row)


def _sections(
    harvest: Harvest,
    definitions: "Mapping[int, Series]",
) -> "Iterator[tuple[int, bytes]]":
    losses = dict(harvest.losses)
    if definitions:
        rows = [records.series_row(i, series) for i, series in definitions.items()]
        yield _DEFINITIONS, records.dump(rows).encode("ascii")
    yield from _numbers(harvest)
    if harvest.raw:
        data, invalid = columns.encode_raw(harvest.raw)
        yield _RAW, data
        _lose(losses, "metrics", invalid)
    if harvest.events:
        tag, data, invalid = _rows(harvest.events, _EVENT_FORMS)
        yield tag, data
        _lose(losses, "events", invalid)
    if harvest.problems:
        yield (
            _PROBLEMS,
            records.dump_rows(map(records.problem_row, harvest.problems))[0],
        )
    if harvest.spans:
        tag, data, invalid = _rows(harvest.spans, _SPAN_FORMS)
        yield tag, data
        _lose(losses, "spans", invalid)
    if losses:
        rows = [[*key, count] for key, count in losses.items()]
        yield _LOSSES, records.dump(rows).encode("ascii")


def _numbers(harvest: Harvest) -> "Iterator[tuple[int, bytes]]":
    h = harvest
    if h.sum_ids:
        data = columns.encode_numbers(h.sum_ids, h.sum_values, h.sum_counts)
        yield _SUMS, data
    if h.gauge_ids:
        data = columns.encode_numbers(h.gauge_ids, h.gauge_values, h.gauge_counts)
        yield _GAUGES, data
    if h.binned:
        yield _BINNED, columns.encode_binned(h.binned)


def _rows(rows: "list[Any]", forms: "_Forms") -> "tuple[int, bytes, int]":
    """Many as a table, few as JSON: tag, bytes, how many could not be written."""
    table_tag, encode_table, rows_tag, row_of = forms
    if len(rows) >= _MANY:
        with suppress(ValueError, TypeError, RecursionError):  # JSON finds which
            return table_tag, encode_table(rows), 0
    return rows_tag, *records.dump_rows(map(row_of, rows))


def _lose(
    losses: "dict[tuple[Signal, str], int]",
    signal: Signal,
    count: int,
) -> None:
    if count:
        losses[signal, "invalid"] = losses.get((signal, "invalid"), 0) + count


def _decode_body(body: bytes) -> "tuple[Harvest, dict[int, Series]]":
    harvest = Harvest()
    definitions: dict[int, Series] = {}
    reader = columns.Reader(body)
    while not reader.at_end():
        tag, length = _SECTION.unpack(reader.take(_SECTION.size))
        section = reader.take(length)
        if tag == _DEFINITIONS:
            definitions = dict(map(records.load_series, json.loads(section)))
        elif tag in _LOADERS:
            _LOADERS[tag](harvest, section)
    return harvest, definitions


def _load_sums(harvest: Harvest, section: bytes) -> None:
    harvest.sum_ids, harvest.sum_values, harvest.sum_counts = columns.decode_numbers(
        columns.Reader(section),
    )


def _load_gauges(harvest: Harvest, section: bytes) -> None:
    ids, values, counts = columns.decode_numbers(columns.Reader(section))
    harvest.gauge_ids, harvest.gauge_values, harvest.gauge_counts = ids, values, counts


def _load_raw(harvest: Harvest, section: bytes) -> None:
    columns.decode_raw(harvest, columns.Reader(section))


def _load_binned(harvest: Harvest, section: bytes) -> None:
    harvest.binned = columns.decode_binned(columns.Reader(section))


def _load_events(harvest: Harvest, section: bytes) -> None:
    harvest.events = [records.load_event(row) for row in json.loads(section)]


def _load_problems(harvest: Harvest, section: bytes) -> None:
    harvest.problems = [records.load_problem(row) for row in json.loads(section)]


def _load_spans(harvest: Harvest, section: bytes) -> None:
    harvest.spans = [records.load_span(row) for row in json.loads(section)]


def _load_event_table(harvest: Harvest, section: bytes) -> None:
    harvest.events = tables.decode_events(section)


def _load_span_table(harvest: Harvest, section: bytes) -> None:
    harvest.spans = tables.decode_spans(section)


def _load_losses(harvest: Harvest, section: bytes) -> None:
    harvest.losses = {
        (signal, reason): int(count) for signal, reason, count in json.loads(section)
    }


_LOADERS: "dict[int, Callable[[Harvest, bytes], None]]" = {
    _SUMS: _load_sums,
    _GAUGES: _load_gauges,
    _RAW: _load_raw,
    _BINNED: _load_binned,
    _EVENTS: _load_events,
    _PROBLEMS: _load_problems,
    _SPANS: _load_spans,
    _LOSSES: _load_losses,
    _EVENT_TABLE: _load_event_table,
    _SPAN_TABLE: _load_span_table,
}
