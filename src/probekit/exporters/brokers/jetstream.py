"""Takes OTLP messages to a subject of NATS JetStream; needs ``nats-py``.

A message has the headers ``Nats-Msg-Id``, ``Content-Type`` and ``Probekit-Signal``. The
stream drops one whose id it has seen within its window for duplicates.
"""

import asyncio
import re
from typing import Any

from probekit.errors import ConfigError, ExportError, Forbidden, RetryLater, TooLarge
from probekit.exporters.brokers.exporter import Broker, timeout_from
from probekit.exporters.brokers.messages import CONTENT_TYPE, Message
from probekit.exporters.brokers.publisher import (
    client,
    first_that_answers,
    name_in,
    place_of,
    secrets_of,
)
from probekit.exporters.brokers.refusals import Verdicts, as_export_error, of_words
from probekit.exporters.options import Options
from probekit.exporters.transport.tls import tls_from
from probekit.exporters.urls import Target

DEFAULT_PORT = 4222
_TICK_S = 0.001
_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")
VERDICTS: Verdicts = {
    "APIError": of_words({"10054": TooLarge}),  # longer than the stream's max_msg_size
    "AuthorizationError": Forbidden,
    "Error": of_words({"uthorization Violation": Forbidden}),
    "MaxPayloadError": TooLarge,
}


class JetStream:
    """Publishes to one subject that a stream covers.

    Args:
        target: ``nats://user:password@host:4222/SUBJECT?stream=NAME``.
        options: The query's reader.
        timeout_s: For connecting to one host, seconds.
        ack_s: For one acknowledgement, seconds.
    """

    def __init__(
        self, target: Target, options: Options, timeout_s: float, ack_s: float
    ) -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = target
        self._subject = name_in(target)
        if not _SUBJECT.fullmatch(self._subject):
            raise ConfigError(
                f"exporters: {target}: a subject is words joined by dots, "
                f"without spaces, '*' and '>'"
            )
        self._addresses = list(target.addresses(DEFAULT_PORT))
        self._timeout_s, self._ack_s = timeout_s, ack_s
        self._stream = options.text("stream") or None
        self._token = options.text("token")
        self._tls = tls_from(options, default=False)
        self._refusal = ""
        self._client: Any = None

    def load(self) -> None:
        """Import the client."""
        self._nats = client("nats", "nats", str(self._target))

    async def is_alive(self) -> bool:
        """Whether the server has not closed the connection since."""
        await asyncio.sleep(_TICK_S)  # the client reads what came while nobody ran it
        return bool(self._client.is_connected)

    async def open(self) -> None:
        """Connect to the first host that answers."""
        self._refusal = ""
        await first_that_answers(self._addresses, self._open, self._timeout_s)

    async def _open(self, host: str, port: int) -> None:
        scheme = "nats" if self._tls is None else "tls"
        wanted: dict[str, Any] = {
            "servers": f"{scheme}://{place_of(host, port)}",
            "error_cb": self._note,
            "name": "probekit",
            # Connecting again is the courier's decision.
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
            "connect_timeout": self._timeout_s,
        }
        if self._target.user:
            wanted["user"] = self._target.user
            wanted["password"] = self._target.password
        if self._token:
            wanted["token"] = self._token
        if self._tls is not None:
            wanted["tls"] = self._tls.context
            wanted["tls_hostname"] = self._tls.server_name or host
        self._client = await self._nats.connect(**wanted)

    async def _note(self, error: Exception) -> None:
        """What the server says outside of answers, such as that we may not."""
        self._refusal = str(error) or type(error).__name__

    async def publish(self, message: Message) -> None:
        """Publish; return when the stream has it, or had it already."""
        await self._client.jetstream(timeout=self._ack_s).publish(
            message.place(self._subject),
            message.body,
            stream=self._stream,
            headers={
                "Nats-Msg-Id": message.key,
                "Content-Type": CONTENT_TYPE,
                "Probekit-Signal": message.kind,
            },
        )

    async def close(self) -> None:
        """Close the connection."""
        made, self._client = self._client, None
        if made is not None:
            await made.close()

    def translate(self, error: Exception) -> ExportError:
        """What the client's *error* means; see :data:`VERDICTS`."""
        where, said = str(self._target), self._refusal
        secrets = secrets_of(self._target, self._token)
        found = as_export_error(error, VERDICTS, where, secrets)
        if isinstance(found, RetryLater) and "ermissions" in said:
            return Forbidden(f"{where}: {said[:200]}")
        return found


def from_target(target: Target) -> Broker:
    """Build from ``nats://host:4222/SUBJECT``."""
    options = target.options()
    timeout_s = timeout_from(options)
    stream = JetStream(target, options, min(timeout_s, 3.0), timeout_s * 0.8)
    return Broker(target, options, stream, timeout_s=timeout_s, idempotent=True)
