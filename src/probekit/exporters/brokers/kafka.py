"""Takes OTLP messages to a Kafka topic; needs ``aiokafka``.

A record has the batch's key, and the headers ``content-type`` and ``probekit-signal``.
All replicas in sync have it before a send returns.
"""

import re
import ssl
from typing import Any

from probekit.errors import (
    ConfigError,
    ExportError,
    Forbidden,
    Rejected,
    RetryLater,
    TooLarge,
)
from probekit.exporters.brokers.exporter import Broker, timeout_from
from probekit.exporters.brokers.messages import CONTENT_TYPE, SIGNAL_PLACE, Message
from probekit.exporters.brokers.publisher import (
    client,
    name_in,
    place_of,
    secrets_of,
)
from probekit.exporters.brokers.refusals import Verdicts, as_export_error
from probekit.exporters.options import Options
from probekit.exporters.transport.tls import tls_from
from probekit.exporters.urls import Target

DEFAULT_PORT = 9092
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_NO_PRODUCER_ID = frozenset(
    {"IncompatibleBrokerVersion", "UnknownError", "UnsupportedVersionError"}
)
VERDICTS: Verdicts = {
    "AuthenticationFailedError": Forbidden,
    "AuthenticationMethodNotSupported": Forbidden,
    "ClusterAuthorizationFailedError": Forbidden,
    "InvalidTimestampError": Rejected,
    "InvalidTopicError": Forbidden,
    "MessageSizeTooLargeError": TooLarge,
    "PolicyViolationError": Rejected,
    "RecordListTooLargeError": TooLarge,
    "RecordTooLargeError": TooLarge,
    "SaslAuthenticationFailed": Forbidden,
    "TopicAuthorizationFailedError": Forbidden,
    "UnsupportedSaslMechanismError": Forbidden,
}


class KafkaTopic:
    """Publishes to one topic.

    Args:
        target: ``kafka://user:password@host:9092,host:9092/TOPIC?sasl=PLAIN``.
        options: The query's reader.
        timeout_s: For one request, seconds.
    """

    def __init__(self, target: Target, options: Options, timeout_s: float) -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = target
        self._topic = name_in(target)
        if not _TOPIC.fullmatch(self._topic.replace(SIGNAL_PLACE, "")):
            raise ConfigError(
                f"exporters: {target}: a topic is up to 249 letters, digits, "
                f"'.', '_' and '-'"
            )
        self._timeout_s = timeout_s
        self._servers = [
            place_of(host, port) for host, port in target.addresses(DEFAULT_PORT)
        ]
        self._idempotence = options.flag("idempotence", default=True)
        self._gzip = options.flag("gzip", default=True)
        self._sasl = options.choice("sasl", MECHANISMS, "PLAIN")
        self._tls = tls_from(options, default=False)
        if self._tls is not None and self._tls.server_name:
            raise options.refuse("server_name", "is not for kafka")
        self._producer: Any = None

    def load(self) -> None:
        """Import the client."""
        self._aiokafka = client("aiokafka", "kafka", str(self._target))

    async def is_alive(self) -> bool:
        """True: the client connects again, to whichever broker leads."""
        return True

    async def open(self) -> None:
        """Ask the brokers who leads."""
        made = self._aiokafka.AIOKafkaProducer(
            bootstrap_servers=self._servers,
            client_id="probekit",
            acks="all",
            # What the client itself repeats, the broker recognises.
            enable_idempotence=self._idempotence,
            compression_type="gzip" if self._gzip else None,
            request_timeout_ms=int(self._timeout_s * 1000),
            **self._access(None if self._tls is None else self._tls.context),
        )
        try:
            await made.start()
        except BaseException as error:
            await made.stop()
            if self._idempotence and type(error).__name__ in _NO_PRODUCER_ID:
                raise RetryLater(
                    f"{self._target} gives no producer id ({type(error).__name__}); "
                    f"idempotence=0 does without"
                ) from None
            raise
        self._producer = made

    def _access(self, context: "ssl.SSLContext | None") -> "dict[str, Any]":
        named = bool(self._target.user)
        protocol = f"{'SASL_' if named else ''}{'SSL' if context else 'PLAINTEXT'}"
        found: dict[str, Any] = {"security_protocol": protocol, "ssl_context": context}
        if named:
            found["sasl_mechanism"] = self._sasl
            found["sasl_plain_username"] = self._target.user
            found["sasl_plain_password"] = self._target.password
        return found

    async def publish(self, message: Message) -> None:
        """Send a record; return when all replicas in sync have it."""
        await self._producer.send_and_wait(
            message.place(self._topic),
            message.body,
            key=message.key.encode("utf-8"),
            headers=[
                ("content-type", CONTENT_TYPE.encode("ascii")),
                ("probekit-signal", message.kind.encode("ascii")),
            ],
        )

    async def close(self) -> None:
        """Close the connections; what is under way is not waited for."""
        made, self._producer = self._producer, None
        if made is not None:
            await made.stop()

    def translate(self, error: Exception) -> ExportError:
        """What the client's *error* means; see :data:`VERDICTS`."""
        secrets = secrets_of(self._target)
        return as_export_error(error, VERDICTS, str(self._target), secrets)


def from_target(target: Target) -> Broker:
    """Build from ``kafka://host:9092/TOPIC``."""
    options = target.options()
    timeout_s = timeout_from(options)
    topic = KafkaTopic(target, options, timeout_s)
    return Broker(target, options, topic, timeout_s=timeout_s, idempotent=False)
