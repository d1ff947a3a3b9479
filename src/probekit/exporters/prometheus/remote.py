"""Takes running totals to a Prometheus that takes remote write 1.0.

A server takes a request or refuses it as a whole; what is refused comes again in
halves until the refused record is alone. No sample is ever ahead of our clock: a
server that has one refuses everybody for as long as it is.
"""

from collections.abc import Callable, Mapping, Sequence

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import BufferFailed, Rejected, RetryLater
from probekit.exporters.prometheus.snappy import packed
from probekit.exporters.prometheus.write_request import WriteRequests
from probekit.exporters.transport.answer import VERDICTS, Answer, Verdict
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Snapshot, Window
from probekit.notice import notice
from probekit.ports import DeliveryContract

DEFAULT_PORT = 9090
DEFAULT_PATH = "/api/v1/write"
AHEAD_WAIT_S = 10.0  # a clock that is put right in small steps catches up
_DAYS_S = 86_400.0 * 3650
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
# "A server error must be tried again", says the protocol; Prometheus 2.42 also answers
# 500 to records that will never be right, and those are told apart by its words.
REMOTE_VERDICTS: "Mapping[int, Verdict]" = {
    **VERDICTS,
    500: "retry",
    409: "rejected",
    422: "rejected",
}
NEVER = ("invalid sample", "is not unique", "are disabled", "invalid label")


class RemoteWrite:
    """Sends remote write requests.

    Args:
        target: ``prometheus-remote-write://H:9090/api/v1/write``; text or parsed.
        clock: The wall clock that no sample may be ahead of.
    """

    def __init__(self, target: "Target | str", *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        self._clock = clock
        options = self._target.options()
        path = self._target.path
        self._transport = HttpTransport.from_options(
            self._target,
            options,
            default_port=DEFAULT_PORT,
            base_path=DEFAULT_PATH if path in {"", "/"} else path,
            verdicts=REMOTE_VERDICTS,
        )
        self._requests = WriteRequests(
            options.numbers("bounds", ()) or None,
            scope=options.flag("scope", default=False),
        )
        max_age_s = options.seconds("max_age_s", 0.0, low=0.0, high=_DAYS_S)
        options.finish()
        self.contract = DeliveryContract(
            signals=frozenset({"metrics"}),
            idempotent=True,
            max_age_s=max_age_s or None,
            cumulative=True,
            deadline_s=self._transport.timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"RemoteWrite({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its name in the order of first appearance."""
        try:
            for point in snapshot().points:
                self._requests.names.of(point.series)
        except BufferFailed as error:
            notice("remote-write-names", f"names are given as they come: {error}")

    def send(self, batch: Batch) -> None:
        """Return when the server has all of *batch*.

        Raises:
            RetryLater, TooLarge, Forbidden: See :data:`REMOTE_VERDICTS`.
            Rejected: Without a count: the server refuses the request as a whole. With
                one: that many records are ahead of the clock, all others arrived.

        """
        now_ns = self._clock.wall_ns()
        ready = [w for w in batch.windows if w.end_unix_ns // 10**6 <= now_ns // 10**6]
        ahead = [w for w in batch.windows if w.end_unix_ns // 10**6 > now_ns // 10**6]
        self._wait_for(ahead, now_ns)
        self._write(batch, ready)
        if ahead:
            raise Rejected(
                "the window ends ahead of the clock; a sample with that time would "
                "make the server refuse all others",
                sum(len(window.points) for window in ahead),
            )

    @staticmethod
    def _wait_for(ahead: "Sequence[Window]", now_ns: int) -> None:
        soon_s = [(window.end_unix_ns - now_ns) / 1e9 for window in ahead]
        near_s = [wait_s for wait_s in soon_s if wait_s <= AHEAD_WAIT_S]
        if near_s:
            raise RetryLater("the window ends ahead of the clock", max(near_s) + 0.001)

    def _write(self, batch: Batch, windows: "Sequence[Window]") -> None:
        message = self._requests.encode(batch, windows)
        if not message:
            return
        answer = self._transport.exchange("POST", "", packed(message), _HEADERS)
        error = self._transport.refusal(answer)
        if isinstance(error, RetryLater) and _is_final(answer):
            raise Rejected(str(error))
        if error is not None:
            raise error
        self._requests.said_again(windows)
        self._requests.sent(windows)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def from_target(target: Target) -> RemoteWrite:
    """Build from ``prometheus-remote-write://H:P/path``."""
    return RemoteWrite(target)


def _is_final(answer: Answer) -> bool:
    words = answer.words()
    return answer.status == 500 and any(word in words for word in NEVER)  # noqa: PLR2004 - the status NEVER is about
