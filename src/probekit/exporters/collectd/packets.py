"""collectd's network protocol: parts of a type, a length and a value; pure.

A packet stands alone: it begins with its host, and what parts say holds for those that
follow. Numbers are big-endian, but a gauge's is little-endian; texts end with NUL;
times are seconds times 2³⁰.

A number is ``HOST/probekit-SERVICE/TYPE-NAME``. Types are those of collectd's own
``types.db``, for others are thrown away: ``gauge`` for levels; for running totals
``total_time_in_ms`` (unit ``s``), ``total_bytes`` (``By``) and ``derive``, all whole
numbers. A histogram's sum in another unit is a gauge, for it may fall. The name is the
metric's, with its attributes behind it as ``.key.value``.

Events are notifications: severity, ``HOST/probekit-SERVICE/EVENT`` and a message.
"""

import hashlib
import hmac
import math
import re
import struct
from dataclasses import dataclass

from probekit.errors import Rejected
from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import running, running_names
from probekit.exporters.jsonlines import attributes_text
from probekit.exporters.naming import Names, Naming
from probekit.exporters.text import host_of, visible, word
from probekit.model import (
    SEVERITY_ERROR,
    SEVERITY_WARN,
    Batch,
    Event,
    Resource,
    Series,
    Snapshot,
)

LARGEST_PACKET_BYTES = 1452  # collectd's own limit unless it is told another
_LONGEST_NAME = 100  # 127 characters, and room for a hash and a figure's name
_LONGEST_MESSAGE = 255
_SIGNED_BYTES = 36
_HOST, _PLUGIN, _INSTANCE, _TYPE, _TYPE_INSTANCE, _VALUES = 0, 2, 3, 4, 5, 6
_TIME_HR, _INTERVAL_HR, _MESSAGE, _SEVERITY, _SIGNATURE = 8, 9, 0x100, 0x101, 0x200
_GAUGE, _DERIVE = 1, 2
_FAILURE, _WARNING, _OKAY = 1, 2, 4
_TOTALS = {"s": ("total_time_in_ms", 1000.0), "By": ("total_bytes", 1.0)}
_OTHER_TOTAL = ("derive", 1.0)
_LARGEST_TOTAL = 2.0**63
# A slash divides an identifier, and collectd makes files of them.
_WORD = Naming(re.compile(r"[^A-Za-z0-9_.-]+"), limit=_LONGEST_NAME)


@dataclass(frozen=True, slots=True)
class Place:
    """What never changes of a series' numbers: figure → the parts before its value."""

    forms: "dict[str, tuple[bytes, int, float]]"


class CollectdPackets:
    """Encodes batches.

    Args:
        user: Signs packets, with *password*; empty for unsigned ones.
        password: The user's.
        limit_bytes: Longest packet.
    """

    __slots__ = (
        "_common",
        "_head",
        "_limit_bytes",
        "_names",
        "_password",
        "_places",
        "_user",
    )

    def __init__(
        self,
        *,
        user: str = "",
        password: str = "",
        limit_bytes: int = LARGEST_PACKET_BYTES,
    ) -> None:
        """Start with an empty memory."""
        self._user = user.encode()
        self._password = password.encode()
        self._limit_bytes = limit_bytes
        self._common: tuple[str, str] = ("", "")
        self._head = b""
        self._names = Names()
        self._places: SeriesCache[Place] = SeriesCache(self._place)

    def learn(self, snapshot: Snapshot) -> None:
        """Name every series in the order of the snapshot."""
        self._speak_for(snapshot.resource)
        for point in snapshot.points:
            self._places.of(point)

    def packets(self, batch: Batch) -> "list[bytes]":
        """All numbers and events of *batch*, each packet at most as long as allowed.

        Raises:
            Rejected: A number is not finite, or a total is no 64-bit integer.

        """
        self._speak_for(batch.resource)
        groups: list[tuple[bytes, list[bytes]]] = []
        for window in batch.windows:
            span_ns = window.end_unix_ns - window.start_unix_ns
            times = _time(_TIME_HR, window.end_unix_ns) + _time(_INTERVAL_HR, span_ns)
            values = [
                part
                for point in window.points
                for part in self._values(self._places.of(point), running(point))
            ]
            groups.append((times, values))
        groups += [
            (_time(_TIME_HR, e.time_unix_ns), [_notice(e)]) for e in batch.events
        ]
        return self._packed(groups)

    def _values(
        self, place: Place, figures: "list[tuple[str, float]]"
    ) -> "list[bytes]":
        found = []
        for figure, value in figures:
            before, kind, scale = place.forms[figure]
            found.append(before + _number(kind, value * scale))
        return found

    def _packed(self, groups: "list[tuple[bytes, list[bytes]]]") -> "list[bytes]":
        room = self._limit_bytes
        if self._user:
            room -= _SIGNED_BYTES + len(self._user)
        found: list[bytes] = []
        for times, parts in groups:
            start = self._head + times
            held = start
            for part in parts:
                if len(held) + len(part) > room and held != start:
                    found.append(self._signed(held))
                    held = start
                held += part
            if held != start:
                found.append(self._signed(held))
        return found

    def _signed(self, packet: bytes) -> bytes:
        if not self._user:
            return packet
        signed = self._user + packet
        digest = hmac.new(self._password, signed, hashlib.sha256).digest()
        size = _SIGNED_BYTES + len(self._user)
        return struct.pack(">HH", _SIGNATURE, size) + digest + signed

    def _speak_for(self, resource: Resource) -> None:
        common = (host_of(resource) or "unknown", resource.service)
        if common != self._common:
            self._common, self._names = common, Names()
            self._places = SeriesCache(self._place)
            self._head = (
                _text(_HOST, _WORD.of(common[0]))
                + _text(_PLUGIN, "probekit")
                + _text(_INSTANCE, _WORD.of(common[1]))
            )

    def _place(self, series: Series) -> Place:
        steps = [
            text
            for key, value in series.attributes
            for text in (_WORD.of(key), _WORD.of(word(value)).replace(".", "_"))
        ]
        name = _WORD.of(".".join([_WORD.of(series.name), *steps]))
        # The type is part of the identifier, but people look at the name.
        figures = running_names(series.kind)
        name += self._names.suffix(
            [f"{name}.{figure}" if figure else name for figure in figures],
            (series.name, series.kind, series.unit, series.attributes),
        )
        return Place({figure: _form(series, name, figure) for figure in figures})


def _form(series: Series, name: str, figure: str) -> "tuple[bytes, int, float]":
    kind, type_, scale = _GAUGE, "gauge", 1.0
    if series.kind == "counter" or figure == "count":
        unit = "" if figure == "count" else series.unit
        kind, (type_, scale) = _DERIVE, _TOTALS.get(unit, _OTHER_TOTAL)
    elif figure == "sum" and series.unit in _TOTALS:
        kind, (type_, scale) = _DERIVE, _TOTALS[series.unit]
    full = f"{name}.{figure}" if figure else name
    return _text(_TYPE, type_) + _text(_TYPE_INSTANCE, full), kind, scale


def _number(kind: int, value: float) -> bytes:
    if kind == _GAUGE:
        encoded = struct.pack("<d", value)
    elif math.isfinite(value) and -_LARGEST_TOTAL <= value < _LARGEST_TOTAL:
        encoded = struct.pack(">q", math.floor(value))
    else:
        raise Rejected(f"collectd has no total of {value}")
    return struct.pack(">HHHB", _VALUES, 15, 1, kind) + encoded


def _time(part: int, time_ns: int) -> bytes:
    return struct.pack(">HHQ", part, 12, (time_ns << 30) // 10**9)


def _text(part: int, text: str) -> bytes:
    encoded = text.encode("utf-8", "replace") + b"\0"
    return struct.pack(">HH", part, 4 + len(encoded)) + encoded


def _notice(event: Event) -> bytes:
    severity = _OKAY
    if event.severity >= SEVERITY_WARN:
        severity = _FAILURE if event.severity >= SEVERITY_ERROR else _WARNING
    message = visible(
        " ".join(
            filter(None, (event.name, event.body, attributes_text(event.attributes)))
        )
    )
    cut = message.encode("utf-8", "replace")[:_LONGEST_MESSAGE].decode(
        "utf-8", "ignore"
    )
    return (
        _text(_TYPE, "event")
        + _text(_TYPE_INSTANCE, _WORD.of(event.name))
        + struct.pack(">HHQ", _SEVERITY, 12, severity)
        + _text(_MESSAGE, cut)
    )
