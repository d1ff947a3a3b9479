"""Takes metrics to Graphite's carbon, or to a server with its interface.

Carbon never says that it has something. A repeated metric replaces itself, and sums
are totals, so what was lost heals with the next window.
"""

from collections.abc import Callable
from typing import cast

from probekit.exporters.figures import learn
from probekit.exporters.graphite.encoding import (
    TAG_STYLES,
    TEMPLATE,
    GraphiteMetrics,
    TagStyle,
    is_template,
)
from probekit.exporters.transport.lines import LineSender
from probekit.exporters.transport.tcp import TcpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Snapshot
from probekit.ports import DeliveryContract

DEFAULT_PORT = 2003
DEFAULT_PICKLE_PORT = 2004


class Graphite:
    """Sends metrics as lines over TCP or UDP, or pickled over TCP.

    Args:
        target: ``graphite://host:2003?template=app.{host}.{name}.{attributes}``,
            ``graphite+udp://``, ``graphite+pickle://host:2004``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        template = options.text("template", TEMPLATE)
        if not is_template(template):
            raise options.refuse("template", "must hold {name}, letters, digits, . _ -")
        prefix = options.text("prefix")
        if not is_template(prefix + "{name}"):
            raise options.refuse("prefix", "may hold letters, digits and . _ - only")
        self._encoding = GraphiteMetrics(
            tags=cast("TagStyle", options.choice("tags", TAG_STYLES, "path")),
            template=template,
            prefix=prefix,
        )
        self._pickle: TcpTransport | None = None
        self._lines: LineSender | None = None
        if self._target.scheme == "graphite+pickle":
            places = self._target.addresses(DEFAULT_PICKLE_PORT)
            self._pickle = TcpTransport.from_options(options, places)
            timeout_s = self._pickle.timeout_s
        else:
            udp = self._target.scheme == "graphite+udp"
            places = self._target.addresses(DEFAULT_PORT)
            self._lines = LineSender.from_options(options, places, udp=udp)
            timeout_s = self._lines.timeout_s
        options.finish()
        self.contract = DeliveryContract(
            signals=frozenset({"metrics"}),
            acknowledges=False,
            idempotent=True,
            cumulative=True,
            deadline_s=timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to."""
        return f"Graphite({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its path in the order of first appearance."""
        learn(snapshot, self._encoding.learn)

    def send(self, batch: Batch) -> None:
        """Return when the far side's kernel (UDP: the system) has the metrics.

        Raises:
            RetryLater: The far side cannot be reached, is gone, or does not read.
            Rejected: A number is not finite, or a path is too long.

        """
        if self._lines is not None:
            self._lines.send(self._encoding.lines(batch), batch.key)
        frames = self._encoding.frames(batch) if self._pickle is not None else []
        if self._pickle is not None and frames:
            self._pickle.send(b"".join(frames))

    def close(self) -> None:
        """Close the socket."""
        for transport in (self._pickle, self._lines):
            if transport is not None:
                transport.close()


def from_target(target: Target) -> Graphite:
    """Build from ``graphite://``, ``graphite+udp://`` or ``graphite+pickle://``."""
    return Graphite(target)
