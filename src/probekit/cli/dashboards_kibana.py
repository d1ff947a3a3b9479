"""``probekit dashboards kibana``: the saved objects that Kibana imports."""

import click


@click.command(
    name="kibana", short_help="Saved objects for Kibana and OpenSearch Dashboards."
)
@click.option(
    "--title", default="probekit", show_default=True, help="The dashboard's title."
)
@click.option(
    "--dataset",
    default="probekit",
    show_default=True,
    help="As in the exporter's URL.",
)
def command(title: str, dataset: str) -> None:
    """Write saved objects, one JSON object a line.

    In Kibana: Stack Management, Saved Objects, Import; or POST the file to
    /api/saved_objects/_import?overwrite=true.
    """
    from probekit.center.dashboards.kibana import ndjson, saved_objects

    click.echo(ndjson(saved_objects(title, dataset)), nl=False)
