"""``probekit query``: SQL over one's own telemetry."""

import csv
import difflib
import io
import itertools
import json
import math
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from probekit.cli import paint
from probekit.cli.place import buffer_option, find
from probekit.cli.reader import only_reading, reading, was_interrupted

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PAGE_ROWS = 500


@click.command(
    name="query", short_help="Run one reading SQL statement over the buffer."
)
@click.argument("sql")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of objects.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a header line.")
@buffer_option
def command(sql: str, as_json: bool, as_csv: bool, buffer: "str | None") -> None:
    """Run one SQL statement that only reads; ``-`` reads it from standard input.

    The views v_functions, v_requests, v_errors, v_counters, v_host, v_events and
    v_delivery are made for people. A statement that would write is refused.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    statement = sys.stdin.read() if sql == "-" else sql
    with reading(find(buffer)) as connection:
        only_reading(connection)
        rows = _execute(connection, statement)
        names = _names(rows)
        writer = _json if as_json else _csv if as_csv else _table
        for line in writer(names, rows):
            click.echo(line)


def _execute(connection: sqlite3.Connection, statement: str) -> sqlite3.Cursor:
    try:
        cursor = connection.execute(statement)
    except (sqlite3.DatabaseError, sqlite3.Warning) as error:
        if was_interrupted(error):
            raise
        if "not authorized" in str(error) or "prohibited" in str(error):
            raise click.ClickException(
                "only reading is allowed here: SELECT, WITH, EXPLAIN"
            ) from None
        raise click.ClickException(
            f"SQL: {error}{_nearest(connection, error)}"
        ) from None
    if cursor.description is None:
        raise click.ClickException("SQL: the statement gives no rows")
    return cursor


def _nearest(connection: sqlite3.Connection, error: Exception) -> str:
    """The table or view that was perhaps meant by one that there is not."""
    _, found, name = str(error).partition("no such table: ")
    if not found:
        return ""
    known = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _names(cursor: sqlite3.Cursor) -> "list[str]":
    """Column names; a repeated one gets a number, so that objects keep every column."""
    names: list[str] = []
    for column, *_ in cursor.description:
        number = sum(1 for name in names if name == column or name.startswith(column))
        names.append(f"{column}_{number + 1}" if column in names else column)
    return names


def _table(names: "Sequence[str]", rows: "Iterable[Sequence[Any]]") -> "Iterator[str]":
    """Pages of a table: widths are those of a page, so that long results flow."""
    source = iter(rows)
    page = list(itertools.islice(source, _PAGE_ROWS))
    while True:
        yield from paint.table(names, page)
        page = list(itertools.islice(source, _PAGE_ROWS))
        if not page:
            return
        yield ""


def _json(names: "Sequence[str]", rows: "Iterable[Sequence[Any]]") -> "Iterator[str]":
    before = "["
    for row in rows:
        pairs = zip(names, map(_plain, row), strict=True)
        yield before + json.dumps(dict(pairs), ensure_ascii=False)
        before = ","
    yield "[]" if before == "[" else "]"


def _plain(value: Any) -> Any:
    """A value that JSON has: bytes as hexadecimal text, infinity as text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _csv(names: "Sequence[str]", rows: "Iterable[Sequence[Any]]") -> "Iterator[str]":
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="")
    for row in itertools.chain([names], rows):
        writer.writerow(map(_harmless, row))
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
