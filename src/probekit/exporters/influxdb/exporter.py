"""Takes metrics and events to InfluxDB and to whoever else reads its line protocol.

Over HTTP the server acknowledges, and a repeated line replaces itself, so nothing is
lost and nothing is double. It stores the good lines of a request and names the bad
ones: few bad ones are looked for until each is alone, many are counted as it counts.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from probekit.errors import (
    ConfigError,
    ExportError,
    Forbidden,
    Rejected,
    RetryLater,
    TooLarge,
)
from probekit.exporters.figures import learn
from probekit.exporters.influxdb.lines import PER_PRECISION, InfluxLines
from probekit.exporters.options import Options
from probekit.exporters.transport.answer import VERDICTS, Answer, Verdict
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.transport.lines import LineSender
from probekit.exporters.urls import Target
from probekit.model import Batch, Snapshot
from probekit.ports import DeliveryContract

DEFAULT_PORT = 8086
DEFAULT_UDP_PORT = 8089
DEFAULT_TCP_PORT = 8094
LARGEST_BODY_BYTES = 20_000_000  # InfluxDB 1 resets the connection above 25,000,000
MANY_REFUSED = 8  # up to here each refused line is looked for
# A server error of InfluxDB is a timeout or a full queue, and passes.
INFLUX_VERDICTS: "Mapping[int, Verdict]" = {**VERDICTS, 422: "rejected", 500: "retry"}
_DROPPED = re.compile(r"partial write: .*dropped=(\d+)")
_WRITTEN = 204  # a 200 is somebody else's, or a write that was not completed
_NO_POLICY = "retention policy not found"
_V1_PRECISION = {"us": "u"}
_GZIP_LEVEL, _GZIP_WINDOW = 3, 31


class Influxdb:
    """Sends line protocol.

    Args:
        target: ``influxdb://host:8086/DB``, ``influxdb://host:8086/BUCKET?org=O&token=T``,
            ``influxdb+udp://host:8089``, ``influxdb+tcp://host:8094``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        over_http = self._target.scheme in {"influxdb", "influxdb+https"}
        precision = "ns"
        if over_http:
            precision = options.choice("precision", tuple(PER_PRECISION), "ns")
        self._lines = InfluxLines(
            prefix=options.text("prefix"),
            precision=precision,
            tags=tuple(options.prefixed("tag.").items()),
        )
        self._close: Callable[[], None] = lambda: None
        build = self._by_http if over_http else self._by_lines
        self._deliver, timeout_s = build(options, precision)
        options.finish()
        self._check_path(over_http=over_http)
        self.contract = DeliveryContract(
            signals=frozenset({"metrics", "events"}),
            acknowledges=over_http,
            idempotent=True,
            deadline_s=timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Influxdb({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its name in the order of first appearance."""
        learn(snapshot, self._lines.learn)

    def send(self, batch: Batch) -> None:
        """Return when the server has the batch; UDP and TCP: when the system has it.

        Raises:
            RetryLater, TooLarge, Forbidden: See :data:`INFLUX_VERDICTS`.
            Rejected: The server refuses lines; with a count: it has all others.

        """
        self._deliver(self._lines.lines(batch), batch)

    def close(self) -> None:
        """Close the connection."""
        self._close()

    def _check_path(self, *, over_http: bool) -> None:
        database = self._target.path.strip("/")
        if over_http and not database:
            raise ConfigError(
                f"exporters: {self._target} names no database: influxdb://H:P/DB",
            )
        if not over_http and database:
            raise ConfigError(
                f"exporters: {self._target}: over UDP and TCP the server's listener "
                f"says which database; remove the path",
            )

    def _by_http(
        self, options: Options, precision: str
    ) -> "tuple[Callable[[list[bytes], Batch], None], float]":
        organisation, policy = options.text("org"), options.text("rp")
        bucket = self._target.path.strip("/")
        second = bool(organisation or options.text("token"))
        if second:
            query = {"bucket": bucket, "org": organisation, "precision": precision}
        else:
            unit = _V1_PRECISION.get(precision, precision)
            query = {"db": bucket, "rp": policy, "precision": unit}
        path = "/api/v2/write?" if second else "/write?"
        path += urlencode({name: value for name, value in query.items() if value})
        gzip = options.flag("gzip", default=True)
        transport = HttpTransport.from_options(
            self._target,
            options,
            default_port=DEFAULT_PORT,
            tls=self._target.scheme == "influxdb+https",
            base_path="",
            token_word="Token",  # noqa: S106 - InfluxDB's word before a token
            verdicts=INFLUX_VERDICTS,
        )
        self._close = transport.close

        def deliver(lines: "list[bytes]", batch: Batch) -> None:
            body = b"\n".join([*lines, b""])
            if len(body) > LARGEST_BODY_BYTES:
                raise TooLarge(
                    f"a request of {len(body)} bytes is more than InfluxDB takes"
                )
            headers = {"Content-Type": "text/plain; charset=utf-8"}
            if gzip:
                compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
                body = compressor.compress(body) + compressor.flush()
                headers["Content-Encoding"] = "gzip"
            answer = transport.exchange("POST", path, body, headers)
            error = refusal(transport.refusal(answer), answer, len(batch))
            if error is not None:
                raise error

        return deliver, transport.timeout_s

    def _by_lines(
        self, options: Options, _precision: str
    ) -> "tuple[Callable[[list[bytes], Batch], None], float]":
        udp = self._target.scheme == "influxdb+udp"
        port = DEFAULT_UDP_PORT if udp else DEFAULT_TCP_PORT
        sender = LineSender.from_options(options, self._target.addresses(port), udp=udp)
        self._close = sender.close
        return lambda lines, batch: sender.send(lines, batch.key), sender.timeout_s


def refusal(
    error: "ExportError | None", answer: Answer, records: int
) -> "ExportError | None":
    """What to do about an answer, given what the table of statuses says.

    Args:
        error: The table's verdict.
        answer: Its text may say how many lines were dropped, all others being stored.
        records: How many were sent.

    """
    said = answer.body.decode("utf-8", "replace")
    if _NO_POLICY in said:
        return Forbidden(str(error))
    if error is None and answer.status != _WRITTEN:
        return RetryLater(
            f"HTTP {answer.status} is no acknowledgement of InfluxDB: {answer.words()}",
        )
    dropped = _DROPPED.search(said)
    if isinstance(error, Rejected) and dropped:
        count = int(dropped.group(1))
        if MANY_REFUSED < count < records:
            return Rejected(error.reason, count)
    return error


def from_target(target: Target) -> Influxdb:
    """Build from ``influxdb://``, ``influxdb+https://``, ``+udp://`` or ``+tcp://``."""
    return Influxdb(target)
