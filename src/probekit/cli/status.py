"""``probekit status``: the books of a buffer."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from probekit.buffer.status import BufferStatus
from probekit.cli import paint
from probekit.cli.checks.leader import is_locked
from probekit.cli.lastwords import NOTHING, LastWords, last_words
from probekit.cli.place import buffer_option, find
from probekit.cli.reader import reading, status_in


@click.command(
    name="status", short_help="Show what was recorded, delivered, stored and dropped."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@buffer_option
def command(as_json: bool, buffer: "str | None") -> None:
    """Show the books of a buffer: recorded = delivered + stored + dropped.

    Metrics are counted in measurements, events and spans in records. What a process
    recorded within the last moments and nobody has read yet is not in it.
    """
    path = find(buffer)
    with reading(path) as connection:
        found, said = status_in(connection, path), last_words(connection)
    leads = is_locked(Path(f"{path}.leader"))
    if as_json:
        lines = iter([json.dumps(as_object(found, said, leads=leads))])
    else:
        lines = lines_of(found, said, leads=leads)
    for line in lines:
        click.echo(line)


def as_object(
    found: BufferStatus, said: LastWords = NOTHING, *, leads: "bool | None" = None
) -> "dict[str, Any]":
    """Build the JSON object; its names are those of ``probekit.status()``."""
    accounts = found.accounts
    return {
        "buffer": found.path,
        "buffer_id": found.buffer_id,
        "recorded": {signal: each.recorded for signal, each in accounts.items()},
        "delivered": {signal: each.delivered for signal, each in accounts.items()},
        "stored": {signal: each.stored for signal, each in accounts.items()},
        "dropped": {signal: dict(each.dropped) for signal, each in accounts.items()},
        "exporters": [
            {
                "name": each.name,
                "lag_s": each.lag_s,
                "lag_windows": each.lag_windows,
                "delivered_through": each.delivered_through,
                "delivered_unix_ns": each.delivered_unix_ns,
                "last_error": each.last_error,
                "last_error_unix_ns": each.last_error_unix_ns,
                "dead_letters": each.dead_letters,
                "refusal": each.refusal,
            }
            for each in found.exporters
        ],
        "leads": leads,
        "leader_pid": found.leader_pid,
        "leader_beat_age_s": found.leader_beat_age_s,
        "interrupted": {
            "count": said.count,
            "last": said.last,
            "last_unix_ns": said.last_unix_ns,
        },
        "windows": found.windows,
        "oldest_age_s": found.oldest_age_s,
        "dead_letters": found.dead_letters,
        "file_bytes": found.file_bytes,
        "wal_bytes": found.wal_bytes,
    }


def lines_of(
    found: BufferStatus, said: LastWords, *, leads: "bool | None"
) -> "Iterator[str]":
    """Write the books for people."""
    yield (
        f"buffer  {paint.inert(found.path)}  {paint.size(found.file_bytes)} + "
        f"{paint.size(found.wal_bytes)} log, {found.windows:,} windows"
    )
    yield f"leader  {_leader(found, leads=leads)}"
    yield from _interrupted(said)
    yield ""
    yield from paint.table(
        ["signal", "recorded", "delivered", "stored", "dropped", "reasons"],
        [
            (
                signal,
                each.recorded,
                each.delivered,
                each.stored,
                sum(each.dropped.values()),
                ", ".join(f"{r} {n:,}" for r, n in sorted(each.dropped.items()) if n),
            )
            for signal, each in found.accounts.items()
        ],
    )
    yield ""
    if not found.exporters:
        yield "no exporter has a cursor here: everything is kept until retention"
        return
    yield from paint.table(
        ["exporter", "lag", "windows waiting", "dead letters", "last error"],
        [
            (
                each.name,
                paint.age(each.lag_s),
                each.lag_windows,
                each.dead_letters,
                each.last_error,
            )
            for each in found.exporters
        ],
    )
    for each in found.exporters:
        if each.refusal:
            yield ""
            yield f"dead letters of {paint.inert(each.name)}, the last one because:"
            yield f"  {paint.inert(each.refusal)}"


def _leader(found: BufferStatus, *, leads: "bool | None") -> str:
    if not found.leader_pid:  # a leader's first sign of life is some seconds old
        done = "nobody now" if found.windows else "nobody has led this buffer yet"
        return "somebody, for some moments" if leads else done
    seen = f"process {found.leader_pid}, last seen {paint.age(found.leader_beat_age_s)}"
    # None: this system cannot tell without taking the lock.
    return f"nobody now; the last was {seen} ago" if leads is False else f"{seen} ago"


def _interrupted(said: LastWords) -> "Iterator[str]":
    if said.count:
        ago = paint.age(max(0.0, time.time() - said.last_unix_ns / 1e9))
        yield (
            f"ended in the middle of {said.count:,} operations, the last {ago} ago: "
            f"{paint.inert(said.last)}"
        )
