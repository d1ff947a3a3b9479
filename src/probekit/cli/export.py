"""``probekit export``: replays history to any exporter, without touching cursors."""

import dataclasses
import datetime as dt
import re
import time
from typing import TYPE_CHECKING

import click

from probekit.cli.place import buffer_option, find
from probekit.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from probekit.cli.replay import Replayed
    from probekit.delivery.courier import Courier

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PULLED = "is asked by others and takes nothing that it is sent; name another exporter"


def moment_ns(text: str, now_ns: int) -> int:
    """A moment that somebody wrote, in nanoseconds since 1970.

    Args:
        text: ``2h`` (ago: s, m, h, d), seconds since 1970, or a date and time as in
            ISO 8601; without an offset it is local time.
        now_ns: The moment now.

    Raises:
        ValueError: Names the text and the rule.

    Example:
        >>> moment_ns("10s", 30 * 10**9), moment_ns("1970-01-01T00:00:05Z", 0)
        (20000000000, 5000000000)

    """
    clean = text.strip()
    ago = _AGO.fullmatch(clean)
    if ago:
        return now_ns - int(float(ago.group(1)) * _SECONDS[ago.group(2)] * 1e9)
    if clean.replace(".", "", 1).isdigit() and not clean.startswith("."):
        whole, _, part = clean.partition(".")
        return int(whole) * 10**9 + int(f"{part:0<9}"[:9] or 0)
    try:
        # The oldest Python that we run on knows no Z.
        found = dt.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", clean))
        return int(found.timestamp()) * 10**9 + found.microsecond * 1000
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text[:40]!r} is no moment; want 2h, 30m, 7d, seconds since 1970, or "
            f"2026-01-31T12:00:00Z"
        ) from None


def _moment(
    ctx: click.Context, param: click.Parameter, value: "str | None"
) -> "int | None":
    if value is None:
        return None
    try:
        return moment_ns(value, SYSTEM_CLOCK.wall_ns())
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command(
    name="export", short_help="Send stored history to an exporter; cursors stay."
)
@click.option(
    "--since",
    "since_ns",
    metavar="TIME",
    required=True,
    callback=_moment,
    help="From when on: 2h, 7d (ago), seconds since 1970, or 2026-01-31T12:00:00Z.",
)
@click.option(
    "--until",
    "until_ns",
    metavar="TIME",
    callback=_moment,
    help="Up to when; default: now.",
)
@click.option("--to", "url", metavar="URL", required=True, help="The exporter.")
@click.option(
    "--timeout-s",
    type=click.FloatRange(0.1, 86_400.0),
    default=60.0,
    show_default=True,
    help="Give up after so long without progress, seconds.",
)
@buffer_option
def command(
    since_ns: int,
    until_ns: "int | None",
    url: str,
    timeout_s: float,
    buffer: "str | None",
) -> None:
    """Send what the buffer still has of a time to an exporter.

    No cursor moves and nothing is marked as delivered; running it twice sends twice.
    The exit status is 1 when something was not delivered.
    """
    from probekit.cli.replay import Replay, copied
    from probekit.delivery.courier import Courier
    from probekit.exporters import build
    from probekit.exporters.urls import scheme_of
    from probekit.ports import Pulled
    from probekit.settings import redacted

    if scheme_of(url) == "prometheus":
        raise click.UsageError(f"--to {redacted(url)}: {_PULLED}")
    now_ns = SYSTEM_CLOCK.wall_ns()
    if until_ns is not None and until_ns <= since_ns:
        raise click.UsageError("--until must be after --since")
    exporter = build(url)
    with copied(find(buffer)) as copy:
        replay = Replay(copy, since_ns, until_ns or now_ns, now_ns)
        courier = Courier("export", exporter, replay)
        try:
            if isinstance(exporter, Pulled):
                exporter.begin(replay.snapshot)
            gave_up = not _drive(courier, replay.done, timeout_s)
        finally:
            exporter.close()
    done = replay.done
    click.echo(f"{done.points} points, {done.events} events, {done.spans} spans")
    problems = _problems(done, gave_up=gave_up)
    if problems:
        raise click.ClickException(f"{redacted(url)}: {problems}")


def _drive(courier: "Courier", done: "Replayed", timeout_s: float) -> bool:
    """Step until all is sent; False after *timeout_s* without progress."""
    before, since_s = dataclasses.replace(done), SYSTEM_CLOCK.monotonic_s()
    while True:
        wait_s = courier.step()
        if courier.is_idle:
            return True
        now_s = SYSTEM_CLOCK.monotonic_s()
        if _progress(done) != _progress(before):
            before, since_s = dataclasses.replace(done), now_s
        if now_s + wait_s - since_s > timeout_s:
            return False
        time.sleep(wait_s)


def _progress(done: "Replayed") -> "tuple[int, ...]":
    return done.points, done.events, done.spans, done.refused


def _problems(done: "Replayed", *, gave_up: bool) -> str:
    found = []
    if gave_up:
        found.append(f"gave up: {done.error or 'no progress'}")
    if done.refused:
        found.append(f"{done.refused} records refused: {done.reason}")
    if done.expired:
        found.append(f"{done.expired} records are too old for it")
    return "; ".join(found)
