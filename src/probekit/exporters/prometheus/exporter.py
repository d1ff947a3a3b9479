"""Shows where everything stands at ``/metrics``, for a Prometheus that comes to ask.

One process serves it for all: whoever leads the buffer. What it shows are the running
totals of the buffer, right over workers, forks and restarts.
"""

import ssl
from collections.abc import Callable

from probekit.errors import ConfigError, RetryLater
from probekit.exporters.options import Options
from probekit.exporters.prometheus.endpoint import Endpoint
from probekit.exporters.prometheus.exemplars import SpanExemplars
from probekit.exporters.prometheus.scrape import Scrape
from probekit.exporters.prometheus.shelf import Shelf
from probekit.exporters.prometheus.text import Exposition
from probekit.exporters.urls import Target
from probekit.model import Batch, Snapshot
from probekit.notice import notice
from probekit.ports import DeliveryContract

DEFAULT_PORT = 9464
_HIGHEST_PORT = 65535


class Prometheus:
    """Serves ``/metrics``.

    "Delivered" means shown: nobody can know whether somebody came to look. The port is
    opened when shipping begins.

    Args:
        target: ``prometheus://127.0.0.1:9464?aliases=1``; text or parsed. None to use
            *host* and *port*.
        host: Address to listen on; ``0.0.0.0`` for all.
        port: 1 to 65535; 0 for any free one.

    Example:
        >>> Prometheus(port=9464)
        Prometheus('prometheus://127.0.0.1:9464')

    """

    def __init__(
        self,
        target: "Target | str | None" = None,
        *,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
    ) -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        if target is None:
            target = Target("prometheus", ((host, None),))
            if not (isinstance(port, int) and 0 <= port <= _HIGHEST_PORT):
                raise ConfigError(f"exporters: Prometheus port={port!r}: want 0..65535")
        self._target = Target.parse(target) if isinstance(target, str) else target
        address = self._target.addresses(port)[0]
        if self._target.path not in {"", "/", "/metrics"}:
            raise ConfigError(f"exporters: {self._target}: the path is /metrics")
        options = self._target.options()
        self._shelf = Shelf()
        self._exemplars = SpanExemplars()
        scrape = Scrape(
            self._shelf.snapshot,
            Exposition(
                options.numbers("bounds", ()) or None,
                scope=options.flag("scope", default=False),
            ),
            aliases=options.flag("aliases", default=False),
            exemplars=self._exemplars,
        )
        user, password = self._target.user, self._target.password
        self._endpoint = Endpoint(
            address,
            scrape.answer,
            credentials=f"{user}:{password}" if user or password else "",
            tls=_server_tls(options),
        )
        options.finish()
        self._where = f"prometheus://{address[0]}:{address[1]}"
        self.name = self._where
        self.contract = DeliveryContract(
            signals=frozenset({"metrics", "spans"}), acknowledges=False
        )

    def __repr__(self) -> str:
        """The class and where it listens; no secrets."""
        return f"Prometheus({self._where!r})"

    @property
    def port(self) -> int:
        """Where it listens; 0 while it does not."""
        return self._endpoint.port

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Listen, and show what *snapshot* says."""
        self._shelf.begin(snapshot)
        try:
            self._endpoint.open()
        except (OSError, RuntimeError) as error:
            notice("prometheus-listen", f"{self._where} cannot listen: {error}")

    def send(self, batch: Batch) -> None:
        """Return when what is in *batch* can be seen.

        Raises:
            RetryLater: The port cannot be had.

        """
        self._exemplars.add(batch.spans)
        self._shelf.add(batch)
        try:
            self._endpoint.open()
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise RetryLater(f"{self._where} cannot listen: {reason}") from None

    def close(self) -> None:
        """Stop listening."""
        self._endpoint.close()
        self._shelf.end()


def from_target(target: Target) -> Prometheus:
    """Build from ``prometheus://H:P``."""
    return Prometheus(target)


def _server_tls(options: Options) -> "ssl.SSLContext | None":
    certificate, key = options.text("cert"), options.text("key")
    if not certificate:
        if key:
            raise options.refuse("key", "is given without cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key or None, password=lambda: "")
    except (OSError, ValueError):
        raise options.refuse("cert", "is no usable PEM file with a key") from None
    return context
