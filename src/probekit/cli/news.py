"""What is new in a buffer since the last look: events, errors, windows."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from probekit.buffer.records import load_attributes
from probekit.cli import paint

_LOOK_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that arrived.

    Attributes:
        kind: ``event``, ``error``, ``window`` or ``point``.
        time_unix_ns: When, nanoseconds since 1970.
        text: For people, without the time.
        facts: For programs.
    """

    kind: str
    time_unix_ns: int
    text: str
    facts: "dict[str, Any]"

    def as_line(self) -> str:
        """One line for people, in local time."""
        moment = datetime.fromtimestamp(self.time_unix_ns / 1e9, tz=timezone.utc)
        at = moment.astimezone().strftime("%H:%M:%S.%f")[:-3]
        return f"{at}  {self.kind:<6}  {paint.inert(self.text)}"

    def as_json(self) -> str:
        """One JSON object."""
        return json.dumps(
            {"kind": self.kind, "time_unix_ns": self.time_unix_ns, **self.facts},
            ensure_ascii=False,
        )


@dataclass(slots=True)
class Feed:
    """One kind of news and how far it was read.

    Attributes:
        read: (connection, after, limit) → rows and the new position; after None, the
            newest *limit* rows.
        start: The position before everything.
        position: What was read last; of a meaning that only *read* knows.
    """

    read: "Callable[[sqlite3.Connection, Any, int], tuple[list[Row], Any]]"
    start: Any
    position: Any = None

    def newest(self, connection: sqlite3.Connection, count: int) -> "list[Row]":
        """The newest *count* rows, oldest first; the position is behind them."""
        return self._read(connection, None, count)

    def news(self, connection: sqlite3.Connection) -> "list[Row]":
        """What has arrived since, oldest first."""
        return self._read(connection, self.position, _LOOK_ROWS)

    def restart(self) -> None:
        """The buffer is another one: everything in it is new."""
        self.position = self.start

    def _read(
        self, connection: sqlite3.Connection, after: Any, limit: int
    ) -> "list[Row]":
        connection.execute("BEGIN")  # rows and the end behind them are of one moment
        try:
            rows, self.position = self.read(connection, after, limit)
        finally:
            connection.execute("COMMIT")
        return rows


def events_feed(*, with_exceptions: bool) -> Feed:
    """Events; exceptions among them only when errors are not shown beside them."""
    only = "" if with_exceptions else "AND name <> 'exception' "

    def read(
        connection: sqlite3.Connection, after: "int | None", limit: int
    ) -> "tuple[list[Row], int]":
        found = connection.execute(
            "SELECT number, time_unix_ns, name, body, attributes, severity FROM event "  # noqa: S608 - our own words
            f"WHERE number > ? {only}ORDER BY number {_order(after)} LIMIT ?",
            (after or 0, limit),
        ).fetchall()
        rows = [_event(*each[1:]) for each in _forwards(found, after)]
        last = connection.execute("SELECT max(number) FROM event").fetchone()[0]
        full = len(found) == limit and after is not None
        return rows, found[-1][0] if full else max(after or 0, last or 0)

    return Feed(read, start=0)


def errors_feed() -> Feed:
    """Groups of errors, whenever one of them grows."""

    def read(
        connection: sqlite3.Connection, after: "dict[str, int] | None", limit: int
    ) -> "tuple[list[Row], dict[str, int]]":
        found = connection.execute(
            "SELECT fingerprint, last_seen_unix_ns, type, message, culprit, count "
            "FROM problem ORDER BY last_seen_unix_ns DESC LIMIT ?",
            (_LOOK_ROWS,),
        ).fetchall()
        known = after or {}
        grown = [each for each in found if each[5] != known.get(each[0])]
        chosen = grown[:limit] if after is None else grown
        rows = [_error(each, known.get(each[0], 0)) for each in reversed(chosen)]
        return rows, {each[0]: each[5] for each in found}

    return Feed(read, start={})


def windows_feed(*, with_points: bool) -> Feed:
    """Closed windows; with every point in them, if asked for."""

    def read(
        connection: sqlite3.Connection, after: "int | None", limit: int
    ) -> "tuple[list[Row], int]":
        found = connection.execute(
            "SELECT id, start_unix_ns, end_unix_ns, measurements, "  # noqa: S608 - our own words
            "(SELECT count(*) FROM point WHERE point.window = window.id) FROM window "
            f"WHERE id > ? ORDER BY id {_order(after)} LIMIT ?",
            (after or 0, limit),
        ).fetchall()
        rows = []
        for each in _forwards(found, after):
            rows.append(_window(*each))
            if with_points:
                rows.extend(_points(connection, each[0], each[2]))
        last = connection.execute("SELECT max(id) FROM window").fetchone()[0]
        full = len(found) == limit and after is not None
        return rows, found[-1][0] if full else max(after or 0, last or 0)

    return Feed(read, start=0)


def _order(after: "int | None") -> str:
    """The newest first when nothing was read yet."""
    return "DESC" if after is None else ""


def _forwards(found: "list[Any]", after: "int | None") -> "list[Any]":
    return found[::-1] if after is None else found


def _event(time_ns: int, name: str, body: str, attributes: str, severity: int) -> Row:
    loaded = dict(load_attributes(json.loads(attributes)))
    pairs = " ".join(f"{key}={value}" for key, value in loaded.items())
    facts = {"name": name, "body": body, "severity": severity, "attributes": loaded}
    return Row("event", time_ns, " ".join(filter(None, (name, body, pairs))), facts)


def _error(row: "tuple[Any, ...]", before: int) -> Row:
    fingerprint, seen_ns, kind, message, culprit, count = row
    facts = {
        "fingerprint": fingerprint,
        "type": kind,
        "message": message,
        "culprit": culprit,
        "count": count,
        "new": count - before,
    }
    times = f"×{count:,}" if before == 0 else f"×{count:,} (+{count - before:,})"
    return Row("error", seen_ns, f"{kind}: {message} {times} in {culprit}", facts)


def _window(number: int, start_ns: int, end_ns: int, measured: int, series: int) -> Row:
    facts = {
        "id": number,
        "start_unix_ns": start_ns,
        "end_unix_ns": end_ns,
        "measurements": measured,
        "series": series,
    }
    width_s = (end_ns - start_ns) / 1e9
    text = f"#{number} of {width_s:.1f} s: {measured:,} values in {series:,} series"
    return Row("window", end_ns, text, facts)


def _points(
    connection: sqlite3.Connection, window: int, end_ns: int
) -> "Iterator[Row]":
    found = connection.execute(
        "SELECT s.name, s.kind, s.unit, s.attributes, p.count, p.value, p.min, p.max "
        "FROM point p JOIN series s ON s.id = p.series WHERE p.window = ? "
        "ORDER BY s.name, s.id",
        (window,),
    )
    for name, kind, unit, attributes, count, value, low, high in found:
        pairs = " ".join(f"{k}={v}" for k, v in json.loads(attributes).items())
        facts = {
            "name": name,
            "instrument": kind,
            "unit": unit,
            "attributes": json.loads(attributes),
            "count": count,
            "value": value,
            "min": low,
            "max": high,
        }
        amount = f"{value:.6g}"
        if kind == "histogram":
            amount = f"{count:,} values, mean {value / count:.4g}, max {high:.4g}"
        shown = " ".join(filter(None, (name, pairs, "=", amount, unit)))
        yield Row("point", end_ns, shown, facts)
