"""JSON lines over TCP or TLS, as Logstash, Vector, Fluent Bit and Telegraf take them.

The far side says nothing, so delivery is not acknowledged: see ``transport.tcp`` for
what can be lost and what can be repeated.
"""

from probekit.exporters.jsonlines import JsonLines
from probekit.exporters.transport.tcp import TcpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch
from probekit.ports import DeliveryContract

MOST_RECORDS = 4000


class Tcp:
    """Sends JSON lines over one lasting connection.

    Args:
        target: ``tcp://host:port,host:port?tls=1``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        self._transport = TcpTransport.from_options(
            options,
            self._target.addresses(None),
            tls=self._target.scheme.endswith("+tls"),
        )
        options.finish()
        self._encoding = JsonLines()
        self.contract = DeliveryContract(
            acknowledges=False,
            max_records=MOST_RECORDS,
            deadline_s=self._transport.timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Tcp({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Return when the far side's kernel has all lines.

        Raises:
            RetryLater: The far side cannot be reached, is gone, or does not read.
            Forbidden: A certificate was refused.

        """
        self._transport.send(self._encoding.document(batch))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def from_target(target: Target) -> Tcp:
    """Build from ``tcp://H:P`` or ``tcp+tls://H:P``."""
    return Tcp(target)
