"""The table of commands; a command's module is imported when the command is used."""

import importlib
import os

import click

from probekit._version import __version__

# Command → (module in this folder, the line that ``probekit --help`` shows).
# The module has a click command by the name ``command`` with the same line.
COMMANDS: "dict[str, tuple[str, str]]" = {
    "check": (
        "check",
        "Check a metric as a Nagios plugin: one line, exit status 0 to 3.",
    ),
    "dashboards": ("dashboards", "Write dashboards for Grafana, Kibana or Zabbix."),
    "doctor": ("doctor", "Check settings, buffer, locks, exporters and clock."),
    "export": ("export", "Send stored history to an exporter; cursors stay."),
    "run": ("run", "Run a program with probekit inside; no change to its code."),
    "query": ("query", "Run one reading SQL statement over the buffer."),
    "ship": ("ship", "Lead the buffer and deliver what it holds."),
    "status": ("status", "Show what was recorded, delivered, stored and dropped."),
    "tail": ("tail", "Show new events, errors and windows as they arrive."),
}


class ReaderGone(Exception):
    """Whoever read our output went away; click would make an exit status of it."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports none of them."""

    def list_commands(self, ctx: click.Context) -> "list[str]":
        """Names, sorted."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> "click.Command | None":
        """Import the module of *cmd_name*; None when there is no such command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"probekit.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command.

        Raises:
            ReaderGone: The output has no reader any more.

        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, COMMANDS[name][1]) for name in self.list_commands(ctx)]
            )

    def resolve_command(
        self, ctx: click.Context, args: "list[str]"
    ) -> "tuple[str | None, click.Command | None, list[str]]":
        """Add the nearest name to the complaint about an unknown one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            nearest = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise click.UsageError(f"{error.format_message()}{hint}", ctx) from None


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="probekit")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Look into a probekit buffer, check it, deliver it."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False
