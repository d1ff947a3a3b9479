"""Takes metrics to OpenTSDB, or to a server with its interface.

Over HTTP each request is acknowledged, and a repeated data point replaces itself. An
OpenTSDB as installed takes only small requests, so a batch goes as several; where one
is too large still, they become smaller.
"""

import json
from collections.abc import Callable, Mapping

from probekit.errors import ConfigError, Rejected, RetryLater, TooLarge
from probekit.exporters.figures import learn
from probekit.exporters.opentsdb.encoding import MOST_TAGS, OpenTsdbPoints
from probekit.exporters.transport.answer import VERDICTS, Answer, Verdict, from_stranger
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.transport.lines import LineSender
from probekit.exporters.urls import Target
from probekit.model import Batch, Snapshot
from probekit.ports import DeliveryContract

DEFAULT_PORT = 4242
POINTS = 50  # what OpenTSDB's documentation recommends for one request
MOST_RECORDS = 1000
# A server error of OpenTSDB is its storage's, and passes.
# InfluxDB also answers so to what it will never take, and then says these words.
NEVER = "partial write"
OPENTSDB_VERDICTS: "Mapping[int, Verdict]" = {**VERDICTS, 500: "retry"}


class OpenTsdb:
    """Sends data points by HTTP.

    Args:
        target: ``opentsdb://host:4242?points=50``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        self._transport = HttpTransport.from_options(
            self._target,
            options,
            default_port=DEFAULT_PORT,
            tls=self._target.scheme == "opentsdb+https",
            verdicts=OPENTSDB_VERDICTS,
        )
        self._points = options.integer("points", POINTS, low=1, high=10_000)
        self._encoding = OpenTsdbPoints(
            prefix=options.text("prefix"),
            most_tags=options.integer("most_tags", MOST_TAGS, low=3, high=100),
        )
        options.finish()
        # What a slow server has taken of a batch before the deadline, by the batch.
        self._resume = ("", 0)
        self.contract = _contract(self._transport.timeout_s, acknowledges=True)

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"OpenTsdb({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its name in the order of first appearance."""
        learn(snapshot, self._encoding.learn)

    def send(self, batch: Batch) -> None:
        """Return when the server has acknowledged every data point.

        Raises:
            RetryLater, TooLarge, Forbidden: See :data:`OPENTSDB_VERDICTS`.
            Rejected: The server refuses a data point; in its words.

        """
        deadline = self._transport.deadline()
        items = self._encoding.json(batch)
        key, done = self._resume
        done = done if key == batch.key else 0
        while done < len(items):
            some = items[done : done + self._points]
            try:
                self._put(some, deadline)
            except TooLarge:
                if self._points == 1:
                    raise
                self._points = max(1, self._points // 2)
                continue
            done += len(some)
            self._resume = (batch.key, done)
        self._resume = ("", 0)

    def _put(self, items: "list[bytes]", deadline: Deadline) -> None:
        answer = self._transport.exchange(
            "POST",
            "/api/put?details",
            b"[" + b",".join(items) + b"]",
            {"Content-Type": "application/json"},
            deadline=deadline,
        )
        words = words_of(answer)
        error = self._transport.refusal(answer, words=words)
        if error is None and words:
            error = Rejected(words)
        if error is None:
            error = from_stranger(answer, self._transport.where)
        if isinstance(error, RetryLater) and NEVER in answer.words():
            raise Rejected(str(error))
        if error is not None:
            raise error

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


class OpenTsdbTelnet:
    """Sends ``put`` lines over one connection; the server never says that it has them.

    Args:
        target: ``opentsdb+telnet://host:4242``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        self._sender = LineSender.from_options(
            options, self._target.addresses(DEFAULT_PORT), udp=False
        )
        self._encoding = OpenTsdbPoints(
            prefix=options.text("prefix"),
            most_tags=options.integer("most_tags", MOST_TAGS, low=3, high=100),
        )
        options.finish()
        if self._target.path.strip("/"):
            raise ConfigError(f"exporters: {self._target}: telnet has no path")
        self.contract = _contract(self._sender.timeout_s, acknowledges=False)

    def __repr__(self) -> str:
        """The class and where it sends to."""
        return f"OpenTsdbTelnet({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its name in the order of first appearance."""
        learn(snapshot, self._encoding.learn)

    def send(self, batch: Batch) -> None:
        """Return when the far side's kernel has all lines.

        Raises:
            RetryLater: The far side cannot be reached, is gone, or does not read.
            Rejected: A number is not finite.

        """
        self._sender.send(self._encoding.telnet(batch), batch.key)

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()


def words_of(answer: Answer) -> str:
    """What the answer's details say about the first refused data point; or empty.

    Example:
        >>> words_of(Answer(400, body=b'{"failed":1,"errors":[{"error":"Too old"}]}'))
        '1 failed: Too old'

    """
    try:
        told = json.loads(answer.body)
        return f"{told['failed']} failed: {told['errors'][0]['error']}"[:200]
    except (ValueError, TypeError, LookupError):
        return ""


def _contract(deadline_s: float, *, acknowledges: bool) -> DeliveryContract:
    return DeliveryContract(
        signals=frozenset({"metrics"}),
        acknowledges=acknowledges,
        idempotent=True,
        cumulative=True,
        max_records=MOST_RECORDS,
        deadline_s=deadline_s,
    )


def from_target(target: Target) -> "OpenTsdb | OpenTsdbTelnet":
    """Build from ``opentsdb://``, ``opentsdb+https://`` or ``opentsdb+telnet://``."""
    if target.scheme == "opentsdb+telnet":
        return OpenTsdbTelnet(target)
    return OpenTsdb(target)
