"""``probekit dashboards grafana``: the JSON that Grafana imports."""

import json

import click

DATASOURCES = (
    "prometheus",
    "influxdb",
    "graphite",
    "opentsdb",
    "elasticsearch",
    "postgres",
    "clickhouse",
)


@click.command(
    name="grafana", short_help="Functions, requests, errors, business and host."
)
@click.option(
    "--datasource",
    type=click.Choice(DATASOURCES),
    default="prometheus",
    show_default=True,
    help="Where Grafana finds what the exporter delivered.",
)
@click.option(
    "--title", default="probekit", show_default=True, help="The dashboard's title."
)
def command(datasource: str, title: str) -> None:
    """Write a dashboard as JSON; Grafana 10 and newer import it.

    In Grafana: Dashboards, New, Import; then choose the data source at the top.
    """
    from probekit.center.dashboards.grafana import dashboard

    click.echo(json.dumps(dashboard(datasource, title), indent=2))
