"""Takes metrics, events and spans to an OTLP receiver over gRPC; needs ``grpcio``.

The bodies are our own encoder's; the library carries them. Its channel is opened on the
shipping thread and never crosses a fork: a server that forks workers ships from a
process of its own (``shipper="process"``).
"""

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from probekit.errors import ConfigError, ExportError, MissingExtra
from probekit.exporters.options import Options
from probekit.exporters.otlp.answers import PartialSuccess, from_protobuf
from probekit.exporters.otlp.encoders import encoders_from
from probekit.exporters.otlp.grpc_status import as_export_error
from probekit.exporters.otlp.requests import Requests
from probekit.exporters.transport.answer import without
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.urls import Target
from probekit.model import Batch, Signal
from probekit.ports import DeliveryContract

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PORT = 4317
MOST_RECORDS = 4000
METHODS: "dict[Signal, str]" = {
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "events": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "spans": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
}


class OtlpGrpc:
    """Sends OTLP over gRPC.

    Args:
        target: ``otlp+grpc://host:4317?tls=1&header.x-tenant=a``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet.

        Raises:
            ConfigError: The target cannot be used.
            MissingExtra: ``grpcio`` is not installed.

        """
        self._target = Target.parse(target) if isinstance(target, str) else target
        self._grpc = _library()
        options = self._target.options()
        addresses = self._target.addresses(DEFAULT_PORT)
        if len(addresses) > 1:
            raise ConfigError(f"exporters: {self._target}: gRPC takes one host")
        host, port = addresses[0]
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._where = f"{self._target.scheme}://{self._address}"
        self._timeout_s = options.seconds("timeout_s", 10.0, high=300.0)
        self._metadata = _metadata(self._target, options)
        self._credentials = self._tls(options)
        self._gzip = options.flag("gzip", default=True)
        found = encoders_from(options)
        self._encoders = found.encode
        options.finish()
        self._channel: Any = None
        self._requests = Requests(found.signals, self._request, self._where)
        self.contract = DeliveryContract(
            signals=frozenset(found.signals),
            cumulative=found.cumulative,
            max_records=MOST_RECORDS,
            deadline_s=self._timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"OtlpGrpc({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Return when the receiver has acknowledged all of *batch*.

        Raises:
            RetryLater, TooLarge, Forbidden: See ``grpc_status.VERDICTS``; what a call
                before the failing one has delivered does not go again.
            Rejected: With a count: that many records were refused, all others taken.

        """
        self._requests.send(batch, Deadline(self._timeout_s, self._where))

    def _request(
        self, signal: Signal, batch: Batch, deadline: Deadline
    ) -> PartialSuccess:
        body = self._encoders[signal](batch)
        if not body:
            return PartialSuccess()
        try:
            answer = self._call(signal)(
                body,
                timeout=deadline.left_s(),
                metadata=self._metadata,
                compression=self._compression(),
            )
        except self._grpc.RpcError as error:
            raise self._translated(error) from None
        told = from_protobuf(answer)
        return replace(told, message=self._without_secrets(told.message))

    def _call(self, signal: Signal) -> "Callable[..., bytes]":
        if self._channel is None:
            # The answer is bounded; reconnecting is the courier's decision.
            limits = (
                ("grpc.max_receive_message_length", 1 << 16),
                ("grpc.enable_http_proxy", 0),
                ("grpc.enable_retries", 0),
                ("grpc.max_reconnect_backoff_ms", 1000),
                ("grpc.initial_reconnect_backoff_ms", 100),
            )
            if self._credentials is None:
                self._channel = self._grpc.insecure_channel(self._address, limits)
            else:
                self._channel = self._grpc.secure_channel(
                    self._address, self._credentials, limits
                )
        call: Callable[..., bytes] = self._channel.unary_unary(METHODS[signal])
        return call

    def _compression(self) -> Any:
        kinds = self._grpc.Compression
        return kinds.Gzip if self._gzip else kinds.NoCompression

    def _translated(self, error: Any) -> ExportError:
        trailers = {item.key: item.value for item in error.trailing_metadata() or ()}
        details = trailers.get("grpc-status-details-bin", b"")
        return as_export_error(
            error.code().name,
            self._without_secrets(str(error.details() or "")),
            details if isinstance(details, bytes) else b"",
            self._where,
        )

    def _without_secrets(self, words: str) -> str:
        return without(words, [secret for _, secret in self._metadata])

    def _tls(self, options: Options) -> Any:
        wanted = options.flag("tls", default=False)
        parts = [_file(options, name) for name in ("ca", "key", "cert")]
        if not wanted:
            if any(parts):
                raise options.refuse("ca, cert or key", "is given without tls=1")
            return None
        return self._grpc.ssl_channel_credentials(*parts)

    def close(self) -> None:
        """Close the channel."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def from_target(target: Target) -> OtlpGrpc:
    """Build from ``otlp+grpc://H:P``."""
    return OtlpGrpc(target)


def _library() -> Any:
    try:
        return importlib.import_module("grpc")
    except ImportError:
        raise MissingExtra(
            "otlp+grpc:// needs grpcio: pip install 'probekit[grpc]'"
        ) from None


def _metadata(target: Target, options: Options) -> "tuple[tuple[str, str], ...]":
    headers = {k.lower(): v for k, v in options.prefixed("header.").items()}
    token = options.text("token")
    if token:
        headers["authorization"] = f"Bearer {token}"
    elif target.user or target.password:
        raise ConfigError(f"exporters: {target}: gRPC takes token=, not user:password@")
    for name, value in headers.items():
        if not (name.replace("-", "").replace("_", "").replace(".", "").isalnum()):
            raise ConfigError(f"exporters: {target}: {name!r} is no name of a header")
        if not (name.isascii() and value.isascii() and value.isprintable()):
            raise ConfigError(f"exporters: {target}: header {name!r} is not ASCII")
    return tuple(headers.items())


def _file(options: Options, name: str) -> "bytes | None":
    path = options.text(name)
    if not path:
        return None
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - one read of a small file
            return file.read()
    except OSError:
        raise options.refuse(name, "is no readable PEM file") from None
