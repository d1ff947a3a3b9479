"""``probekit dashboards zabbix``: the template that Zabbix imports."""

import json

import click


@click.command(
    name="zabbix", short_help="A template with discovery, items and triggers."
)
@click.option(
    "--name", default="probekit", show_default=True, help="The template's name."
)
@click.option(
    "--allowed-hosts",
    metavar="LIST",
    default="",
    help="Addresses that may send, as Zabbix writes them. Default: all.",
)
def command(name: str, allowed_hosts: str) -> None:
    """Write the template as JSON; Zabbix 6.0 and newer import it.

    In Zabbix: Configuration, Templates, Import; then link it to the host whose name
    stands in the exporter's URL.
    """
    from probekit.exporters.zabbix.template import template

    click.echo(json.dumps(template(name, allowed_hosts), indent=2, ensure_ascii=False))
