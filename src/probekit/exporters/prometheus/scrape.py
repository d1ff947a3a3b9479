"""One request for ``/metrics`` and its answer; no socket: all mounts share it."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from probekit.errors import BufferFailed
from probekit.exporters.prometheus.aliases import with_aliases
from probekit.exporters.prometheus.negotiation import accepts_gzip, wants_openmetrics
from probekit.exporters.prometheus.text import (
    OPENMETRICS,
    TEXT,
    ExemplarSource,
    Exposition,
)
from probekit.model import Snapshot

_GZIP_LEVEL = 3
_GZIP_WINDOW = 31  # zlib's code for a gzip header
_GZIP_FROM_BYTES = 1024
READ_ONLY = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Scraped:
    """An answer: status, headers, body."""

    status: int
    headers: "Mapping[str, str]" = field(default_factory=dict)
    body: bytes = b""


class Scrape:
    """Answers requests.

    Args:
        snapshot: Where everything stands; raises BufferFailed when it cannot say.
        exposition: Writes it.
        aliases: Whether the stock names of process metrics are added.
        exemplars: Examples for buckets.

    Threads:
        Any.
    """

    def __init__(
        self,
        snapshot: "Callable[[], Snapshot]",
        exposition: "Exposition | None" = None,
        *,
        aliases: bool = False,
        exemplars: "ExemplarSource | None" = None,
    ) -> None:
        """Keep the parts."""
        self._snapshot = snapshot
        self._exposition = exposition or Exposition()
        self._aliases = aliases
        self._exemplars = exemplars

    def answer(
        self, method: str, accept: str = "", accept_encoding: str = ""
    ) -> Scraped:
        """The answer to one request.

        Args:
            method: ``GET`` or ``HEAD``.
            accept: The header of that name; empty when there is none.
            accept_encoding: Likewise.

        """
        if method not in READ_ONLY:
            return Scraped(405, {"Allow": "GET, HEAD"})
        openmetrics = wants_openmetrics(accept)
        try:
            snapshot = self._snapshot()
        except BufferFailed as error:
            return _unavailable(str(error))
        if self._aliases:
            snapshot = with_aliases(snapshot)
        body = self._exposition.write(
            snapshot, openmetrics=openmetrics, exemplars=self._exemplars
        )
        headers = {
            "Content-Type": OPENMETRICS if openmetrics else TEXT,
            "Vary": "Accept, Accept-Encoding",
        }
        if len(body) >= _GZIP_FROM_BYTES and accepts_gzip(accept_encoding):
            packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
            body = packer.compress(body) + packer.flush()
            headers["Content-Encoding"] = "gzip"
        return Scraped(200, headers, body)


def _unavailable(why: str) -> Scraped:
    del why  # it names a path of this machine: nothing for whoever asks
    body = b"the buffer cannot be read now\n"
    return Scraped(503, {"Content-Type": "text/plain", "Retry-After": "5"}, body)
