"""``probekit doctor``: everything that can be wrong, looked at once."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from probekit.cli import paint
from probekit.cli.checks.books import check_books
from probekit.cli.checks.clock import check_clock
from probekit.cli.checks.exporters import check_exporters
from probekit.cli.checks.files import check_files
from probekit.cli.checks.finding import Finding, fail, warn
from probekit.cli.checks.leader import check_leader
from probekit.cli.checks.settings import check_environment, check_settings
from probekit.cli.checks.sqlite import check_database, check_version
from probekit.cli.place import buffer_option, find
from probekit.cli.reader import reading, status_in
from probekit.errors import ConfigError
from probekit.settings import Settings, load


@click.command(
    name="doctor", short_help="Check settings, buffer, locks, exporters and clock."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON array of findings.")
@buffer_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, buffer: "str | None") -> None:
    """Check settings, buffer, locks, exporters and clock.

    Each line is ok, warn or fail; the exit status is 1 when one is fail. Exporters are
    really connected to, two seconds at most for each. Nothing is changed.
    """
    findings = []
    for finding in examine(buffer):
        findings.append(finding)
        if not as_json:
            subject = f"{finding.subject:<12}"
            text = paint.inert(finding.text)
            click.echo(f"{paint.mark(finding.level)} {subject} {text}")
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    if any(finding.level == "fail" for finding in findings):
        ctx.exit(1)


def examine(buffer: "str | None") -> "Iterator[Finding]":
    """Look at everything; a subject that cannot be looked at is a finding itself."""
    settings: Settings | None = None
    try:
        settings = load()
    except ConfigError as error:
        yield fail("settings", str(error))
    else:
        yield from check_settings(settings)
    yield from check_environment()
    yield from check_version()
    last_end_ns = 0
    try:
        path = find(buffer)
    except (click.ClickException, ConfigError) as error:
        judged = warn if buffer is None else fail
        yield judged("buffer file", _words(error))
    else:
        yield from check_files(path)
        try:
            with reading(path) as connection:
                last_end_ns = _last_end_ns(connection)
                yield from _inside(connection, path)
        except click.ClickException as error:
            yield fail("buffer", error.format_message())
    if settings is not None:
        yield from check_exporters(settings.exporters)
    yield from check_clock(last_end_ns)


def _inside(connection: sqlite3.Connection, path: Path) -> "Iterator[Finding]":
    yield from check_database(connection, path)
    status = status_in(connection, path)
    yield from check_leader(path, status)
    yield from check_books(status)


def _last_end_ns(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT max(end_unix_ns) FROM window").fetchone()[0]
    return int(found or 0)


def _words(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    return str(error)
