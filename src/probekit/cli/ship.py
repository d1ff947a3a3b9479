"""``probekit ship``: the leader as a process of its own, for a sidecar or for cron."""

from pathlib import Path
from typing import Any

import click

from probekit.cli.place import buffer_option, find, names_buffer
from probekit.settings import Settings, load


@click.command(name="ship", short_help="Lead the buffer and deliver what it holds.")
@click.option("--once", is_flag=True, help="End as soon as all is delivered; for cron.")
@click.option("--service", metavar="NAME", help="Whose buffer; as in configure().")
@click.option(
    "--exporter",
    "exporters",
    metavar="URL",
    multiple=True,
    help="Where to deliver to; may be repeated. Default: those of the settings.",
)
@click.option(
    "--interval-s", type=float, help="Width of a window, seconds, 0.5 or more."
)
@buffer_option
def command(once: bool, buffer: "str | None", **given: Any) -> None:
    """Lead the buffer and deliver what it holds, until SIGTERM or Ctrl-C.

    Applications with shipper="external" only append to their segments; this delivers.
    With --once the exit status is 0 when everything was delivered, else 1.
    """
    settings = _settings(buffer, given)
    from probekit.runtime.service import run

    if not run(settings, once=once):
        raise click.ClickException(
            f"{settings.buffer}: not all is delivered yet; the rest stays there"
        )


def _settings(buffer: "str | None", given: "dict[str, Any]") -> Settings:
    settings = load(**given)
    if buffer is not None:
        # It need not be there yet: a sidecar may start before the application.
        return load(**given, buffer=Path(buffer).expanduser().absolute())
    if names_buffer(settings):
        return settings
    return load(**given, buffer=find(None))
