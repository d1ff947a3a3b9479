"""Takes metrics to gmond by UDP; nobody answers, and there is no time in it.

Metadata goes before the first value and again every ``metadata_s``, because a gmond
that was restarted has forgotten it and drops the values. Bursts overflow its socket:
the packets go in small groups with a pause between.
"""

import re
import time
from collections.abc import Callable, Iterator

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.exporters.figures import learn
from probekit.exporters.ganglia.metrics import GangliaMetrics, Metric
from probekit.exporters.ganglia.xdr import Metadata, Source, metadata, value
from probekit.exporters.naming import Naming
from probekit.exporters.options import Options
from probekit.exporters.text import host_of
from probekit.exporters.transport.udp import UdpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Resource, Snapshot
from probekit.ports import DeliveryContract

DEFAULT_PORT = 8649
MAX_AGE_S = 600.0
METADATA_S = 60.0
MAX_RECORDS = 1000
GROUP_PACKETS = 40
PAUSE_S = 0.004  # 10,000 packets a second, which gmond can read
_HOST = Naming(re.compile(r"[^A-Za-z0-9_.-]+"), limit=100)
_SPOOF = re.compile(r"[0-9A-Fa-f.]+:[A-Za-z0-9_.-]{1,100}")


class Ganglia:
    """Sends gmetric packets.

    Args:
        target: ``ganglia://host:8649?spoof=10.0.0.7:web1``; text or parsed.
        clock: Passed in by tests.
        pause: Waits so many seconds; passed in by tests.
    """

    def __init__(
        self,
        target: "Target | str",
        *,
        clock: Clock = SYSTEM_CLOCK,
        pause: "Callable[[float], None]" = time.sleep,
    ) -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        self._clock = clock
        self._pause = pause
        options = self._target.options()
        self._spoof = options.text("spoof")
        if self._spoof and not _SPOOF.fullmatch(self._spoof):
            raise options.refuse("spoof", "must be IP:NAME, as in 10.0.0.7:web1")
        self._metadata_s = options.seconds("metadata_s", METADATA_S)
        self._metrics = GangliaMetrics(
            prefix=_prefix(options),
            group=options.text("group"),
            tmax_s=options.integer("tmax_s", 60, low=1, high=86_400),
            dmax_s=options.integer("dmax_s", 86_400, low=0, high=31_536_000),
        )
        max_age_s = options.seconds("max_age_s", MAX_AGE_S, low=1.0, high=604_800.0)
        timeout_s = options.seconds("timeout_s", 5.0, high=300.0)
        self._transport = UdpTransport(
            self._target.addresses(DEFAULT_PORT), timeout_s=timeout_s
        )
        options.finish()
        self._told: dict[Metadata, float] = {}
        self.contract = DeliveryContract(
            signals=frozenset({"metrics"}),
            acknowledges=False,
            accepts_past=False,
            max_age_s=max_age_s,
            max_records=MAX_RECORDS,
            deadline_s=timeout_s + 10.0,
        )

    def __repr__(self) -> str:
        """The class and where it sends to."""
        return f"Ganglia({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its name in the order of first appearance."""
        learn(snapshot, self._metrics.learn)

    def send(self, batch: Batch) -> None:
        """Hand the batch's newest values to the system.

        Raises:
            Rejected: A number is not finite; nothing was sent.
            RetryLater: Nobody listens, or the network is down.

        """
        metrics = self._metrics.of(batch)
        source = self._source(batch.resource)
        packets: list[bytes] = []
        for group in self._packets(metrics, source):
            if packets and len(packets) + len(group) > GROUP_PACKETS:
                self._transport.send(packets)
                self._pause(PAUSE_S)
                packets = []
            packets += group
        self._transport.send(packets)
        now_s = self._clock.monotonic_s()
        self._told.update(
            (m.about, now_s) for m in metrics if self._is_due(m.about, now_s)
        )

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()

    def _source(self, resource: Resource) -> Source:
        if self._spoof:
            return Source(self._spoof, spoofed=True)
        return Source(_HOST.of(host_of(resource) or resource.service))

    def _packets(
        self, metrics: "list[Metric]", source: Source
    ) -> "Iterator[list[bytes]]":
        """The packets of each metric, which stay together."""
        now_s = self._clock.monotonic_s()
        for metric in metrics:
            about = metric.about
            held = [value(about.name, metric.value, source)]
            if self._is_due(about, now_s):
                held.insert(0, metadata(about, source))
            yield held

    def _is_due(self, about: Metadata, now_s: float) -> bool:
        told_s = self._told.get(about)
        return told_s is None or now_s - told_s >= self._metadata_s


def from_target(target: Target) -> Ganglia:
    """Build from ``ganglia://H:P``."""
    return Ganglia(target)


def _prefix(options: Options) -> str:
    prefix = options.text("prefix")
    if prefix and not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", prefix):
        raise options.refuse("prefix", "may hold 40 letters, digits and . _ - only")
    return prefix
