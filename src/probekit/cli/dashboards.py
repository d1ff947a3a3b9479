"""``probekit dashboards``: files that other people's dashboards import.

Each kind is a file of its own with a click command by the name ``command``.
"""

import importlib

import click

# Kind → (module in this folder, the line that ``--help`` shows).
KINDS: "dict[str, tuple[str, str]]" = {
    "grafana": (
        "dashboards_grafana",
        "Functions, requests, errors, business and host.",
    ),
    "kibana": (
        "dashboards_kibana",
        "Saved objects for Kibana and OpenSearch Dashboards.",
    ),
    "zabbix": ("dashboards_zabbix", "A template with discovery, items and triggers."),
}


class Kinds(click.Group):
    """Knows its kinds by name and imports none of them."""

    def list_commands(self, ctx: click.Context) -> "list[str]":
        """Names, sorted."""
        del ctx
        return sorted(KINDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> "click.Command | None":
        """Import the module of *cmd_name*; None when there is no such kind."""
        del ctx
        if cmd_name not in KINDS:
            return None
        module = importlib.import_module(f"probekit.cli.{KINDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the kinds from the table alone."""
        with formatter.section("Kinds"):
            formatter.write_dl(
                [(name, KINDS[name][1]) for name in self.list_commands(ctx)]
            )


@click.group(
    cls=Kinds,
    name="dashboards",
    short_help="Write dashboards for Grafana, Kibana or Zabbix.",
)
def command() -> None:
    """Write a file to import into somebody else's dashboards; to standard output."""
