"""``probekit tail``: what arrives in a buffer, as it arrives."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import click

from probekit.cli.news import Feed, Row, errors_feed, events_feed, windows_feed
from probekit.cli.place import buffer_option, find
from probekit.cli.reader import buffer_id, connect, reading

POLL_S = 0.3


@click.command(
    name="tail", short_help="Show new events, errors and windows as they arrive."
)
@click.option("--events", is_flag=True, help="Events.")
@click.option("--errors", is_flag=True, help="Errors, grouped.")
@click.option("--metrics", is_flag=True, help="Windows, with every point in them.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 10_000),
    default=10,
    show_default=True,
    help="How many of the newest to show first, of each kind.",
)
@click.option(
    "--follow/--no-follow", default=True, help="Go on with what arrives (default)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@buffer_option
def command(lines: int, buffer: "str | None", **asked: bool) -> None:
    """Show new events, errors and windows as they arrive; Ctrl-C ends it.

    Without --events, --errors and --metrics all three are shown, windows by one line.
    """
    path = find(buffer)
    feeds = _feeds(**{name: asked[name] for name in ("events", "errors", "metrics")})

    def show(row: Row) -> None:
        click.echo(row.as_json() if asked["as_json"] else row.as_line())

    with contextlib.suppress(KeyboardInterrupt):
        with reading(path) as connection:
            identity = buffer_id(connection)
            for row in _newest(connection, feeds, lines):
                show(row)
        if asked["follow"]:
            _follow(path, identity, feeds, show)


def _feeds(*, events: bool, errors: bool, metrics: bool) -> "list[Feed]":
    everything = not (events or errors or metrics)
    feeds: list[Feed] = []
    if events or everything:
        feeds.append(events_feed(with_exceptions=not (errors or everything)))
    if errors or everything:
        feeds.append(errors_feed())
    if metrics or everything:
        feeds.append(windows_feed(with_points=metrics))
    return feeds


def _newest(
    connection: sqlite3.Connection, feeds: "list[Feed]", lines: int
) -> "list[Row]":
    return _in_order(row for feed in feeds for row in feed.newest(connection, lines))


def _in_order(rows: "Iterable[Row]") -> "list[Row]":
    return sorted(rows, key=lambda row: row.time_unix_ns)


def _follow(
    path: Path, identity: str, feeds: "list[Feed]", show: "Callable[[Row], None]"
) -> None:
    """Read what is new, for ever; a buffer that was replaced is read from its start.

    The connection is opened for each look: a reader that stays would keep the log from
    shrinking.
    """
    while True:
        time.sleep(POLL_S)
        try:
            with closing(connect(path)) as connection:
                if buffer_id(connection) != identity:
                    identity = buffer_id(connection)
                    for feed in feeds:
                        feed.restart()
                found = (row for feed in feeds for row in feed.news(connection))
                for row in _in_order(found):
                    show(row)
        except sqlite3.Error as error:
            if not _passes(error):
                raise click.ClickException(f"{path}: {error}") from None


def _passes(error: sqlite3.Error) -> bool:
    """Busy, or gone for a moment, as while it is replaced: the next look decides."""
    words = ("locked", "busy", "unable to open", "disk i/o error", "no such table")
    return any(word in str(error).lower() for word in words)
