"""``probekit check``: a plugin for Nagios, Icinga and whoever runs their plugins."""

from typing import Any, NoReturn

import click

from probekit.cli.place import buffer_option, find
from probekit.cli.reader import reading, status_in
from probekit.errors import ProbekitError
from probekit.exporters.nagios.plugin import (
    UNKNOWN,
    WORDS,
    Range,
    inert,
    judge,
    line,
    plain,
)


def _range(
    ctx: click.Context, param: click.Parameter, value: "str | None"
) -> "Range | None":
    """Parse an alert range, or say what is wrong with it."""
    if value is None:
        return None
    try:
        return Range.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


class Plugin(click.Command):
    """A command whose every mistake is UNKNOWN: 1 and 2 would be alarms."""

    def make_context(
        self,
        info_name: "str | None",
        args: "list[str]",
        parent: "click.Context | None" = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the arguments."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException as error:
            _unknown(error.format_message())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the check."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            _unknown(error.format_message())
        except ProbekitError as error:
            _unknown(str(error))


def _unknown(text: str) -> NoReturn:
    said = inert(" ".join(text.split()))
    click.echo(f"PROBEKIT {WORDS[UNKNOWN]} - {said}")
    raise click.exceptions.Exit(UNKNOWN)


@click.command(
    name="check",
    cls=Plugin,
    short_help="Check a metric as a Nagios plugin: one line, exit status 0 to 3.",
)
@click.argument("metric")
@click.option(
    "-w",
    "--warning",
    metavar="RANGE",
    callback=_range,
    help="Range that is fine; else WARNING.",
)
@click.option(
    "-c",
    "--critical",
    metavar="RANGE",
    callback=_range,
    help="Range that is fine; else CRITICAL.",
)
@click.option(
    "--figure",
    help="What of the metric. Counters: delta, rate, total; gauges: value; histograms: "
    "p50, p90, p95, p99, min, max, mean, count, sum, rate, error_ratio. The first one, "
    "and p95, are the defaults.",
)
@click.option(
    "-a",
    "--attribute",
    "attributes",
    metavar="KEY=VALUE",
    multiple=True,
    help="Only series with this attribute; may be repeated.",
)
@click.option(
    "--over-s",
    type=click.FloatRange(1.0, 604_800.0),
    default=300.0,
    show_default=True,
    help="How far to look back, seconds.",
)
@click.option(
    "--max-age-s",
    type=click.FloatRange(1.0),
    default=300.0,
    show_default=True,
    help="UNKNOWN when the buffer has had no leader for longer, seconds.",
)
@click.option(
    "--idle-ok", is_flag=True, help="OK instead of UNKNOWN when nothing was measured."
)
@buffer_option
@click.pass_context
def command(
    ctx: click.Context, /, metric: str, buffer: "str | None", **given: Any
) -> None:
    """Check METRIC and exit with 0 OK, 1 WARNING, 2 CRITICAL or 3 UNKNOWN.

    Ranges are written as Nagios writes them: 10 (0 to 10 is fine), 10:, ~:10, 10:20,
    @10:20 (inside is not fine).
    """
    from probekit.cli.measure import Wanted, measure

    wanted = Wanted(
        metric,
        given["figure"] or "",
        _pairs(given["attributes"]),
        given["over_s"],
        given["max_age_s"],
    )
    path = find(buffer)
    with reading(path) as connection:
        measured = measure(connection, status_in(connection, path), wanted)
    if not measured.values:
        state = 0 if given["idle_ok"] else UNKNOWN
        click.echo(f"PROBEKIT {WORDS[state]} - {inert(measured.text)}: no values")
        ctx.exit(state)
    ranges = given["warning"], given["critical"]
    states = [judge(perf.value, *ranges) for perf in measured.values]
    state = max(states)
    worst = measured.values[states.index(state)]
    shown = [measured.with_ranges(perf, *ranges) for perf in measured.values]
    text = f"PROBEKIT {WORDS[state]} - {measured.text} is {plain(worst.value)}"
    click.echo(line(text + worst.unit.rstrip("c"), shown))
    ctx.exit(state)


def _pairs(given: "tuple[str, ...]") -> "dict[str, str]":
    found = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--attribute {pair[:60]!r} is not KEY=VALUE")
        found[key] = value
    return found
