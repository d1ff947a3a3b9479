"""Takes metrics and events to a Zabbix server or proxy, by the sender protocol.

The server says how many values it did not take, and not which: they are looked for by
halves, which is safe because a value that comes again is dropped. A value fails when
the host has no item for it; a new series therefore waits until Zabbix has made its
items, and a host that does not know our discovery rules keeps all data waiting.
"""

import re
from collections.abc import Callable, Sequence

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import Forbidden, Rejected, RetryLater
from probekit.exporters.figures import learn
from probekit.exporters.naming import Naming
from probekit.exporters.text import host_of
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.urls import Target
from probekit.exporters.zabbix.discovery import Announcements, found
from probekit.exporters.zabbix.refusals import Refusals
from probekit.exporters.zabbix.trapper import Trapper
from probekit.exporters.zabbix.values import Encoded, ZabbixValues
from probekit.exporters.zabbix.wire import Outcome, Value, request
from probekit.model import Batch, Resource, Snapshot
from probekit.ports import DeliveryContract

DEFAULT_PORT = 10051
VALUES_A_REQUEST = 1000
MAX_RECORDS = 1000
HISTORY_S = 90 * 86_400.0  # what is older than an item's history is dropped unsaid
DISCOVERY_WAIT_S = 180.0  # Zabbix reads its configuration anew every 60 s by default
REFRESH_S = 3600.0
_AGAIN_S = 2.0
_HOST = Naming(re.compile(r"[^A-Za-z0-9 ._-]+"), limit=128)


class Zabbix:
    """Sends to trapper items.

    Args:
        target: ``zabbix://host:10051?host=NAME``; several servers or proxies with
            commas; text or parsed.
        clock: Passed in by tests.
    """

    def __init__(self, target: "Target | str", *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        self._clock = clock
        options = self._target.options()
        self._host = options.text("host")
        if self._host and _HOST.of(self._host) != self._host:
            raise options.refuse(
                "host", "may hold 128 letters, digits, spaces and . _ - only"
            )
        self._discovers = options.flag("discovery", default=True)
        wait_s = options.seconds("discovery_wait_s", DISCOVERY_WAIT_S, high=86_400.0)
        self._trapper = Trapper.from_options(
            options, self._target.addresses(DEFAULT_PORT)
        )
        max_age_s = options.seconds("max_age_s", HISTORY_S, low=1.0, high=1e9)
        options.finish()
        self._values = ZabbixValues()
        self._told = Announcements(wait_s, REFRESH_S)
        self._refusals = Refusals(REFRESH_S)
        self.contract = DeliveryContract(
            signals=frozenset({"metrics", "events"}),
            idempotent=True,
            max_age_s=max_age_s,
            max_records=MAX_RECORDS,
            deadline_s=self._trapper.timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to."""
        return f"Zabbix({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its name in the order of first appearance."""
        learn(snapshot, self._values.learn)

    def send(self, batch: Batch) -> None:
        """Return when the server has taken every value.

        Raises:
            RetryLater: The server cannot be reached, or has no items yet for a series
                that it was told about a moment ago.
            Forbidden: The host is unknown, has no probekit template, or does not take
                values from here.
            Rejected: Some records have no item. Without a count the batch comes again
                in halves, until each refused record is alone.

        """
        encoded = self._values.encode(batch)
        host = self._host_for(batch.resource)
        deadline = self._trapper.deadline()
        if self._discovers:
            self._announce(host, deadline)
        now_s = self._clock.monotonic_s()
        sent = self._refusals.worth_sending(encoded, now_s)
        failed: list[tuple[Value, str]] = []
        for start in range(0, len(sent), VALUES_A_REQUEST):
            chunk = sent[start : start + VALUES_A_REQUEST]
            failed += self._deliver(host, chunk, encoded, deadline)
        reason, count = self._refusals.judge(encoded, sent, failed, now_s)
        if reason:
            raise Rejected(f"host {host!r}: {reason}", count)

    def close(self) -> None:
        """Nothing is kept open between requests."""

    def _host_for(self, resource: Resource) -> str:
        return self._host or _HOST.of(host_of(resource) or resource.service)

    def _announce(self, host: str, deadline: Deadline) -> None:
        known, now_s = self._values.seen, self._clock.monotonic_s()
        if not self._told.is_due(known, now_s):
            return
        answer = self._ask(host, found(known, self._clock.wall_ns()), deadline)
        if answer.failed:
            raise Forbidden(
                f"Zabbix has no host {host!r} with the template of probekit "
                f"(probekit dashboards zabbix), or does not take its values from "
                f"here: {answer.words}",
            )
        self._told.told(known, now_s)

    def _deliver(
        self,
        host: str,
        values: "Sequence[Value]",
        encoded: Encoded,
        deadline: Deadline,
    ) -> "list[tuple[Value, str]]":
        """Send *values*; those that failed, with the server's words."""
        answer = self._ask(host, values, deadline)
        if not answer.failed:
            return []
        now_s = self._clock.monotonic_s()
        for value in values:
            identity = encoded.identities.get(value.record)
            if self._told.is_fresh(identity, now_s):
                raise RetryLater(
                    f"Zabbix has made no items yet for new series on host {host!r}: "
                    f"{answer.words}",
                    _AGAIN_S,
                )
        if answer.failed == len(values):
            return [(value, answer.words) for value in values]
        middle = len(values) // 2
        return [
            *self._deliver(host, values[:middle], encoded, deadline),
            *self._deliver(host, values[middle:], encoded, deadline),
        ]

    def _ask(self, host: str, values: "Sequence[Value]", deadline: Deadline) -> Outcome:
        answer = self._trapper.ask(request(host, values), deadline)
        if answer.total != len(values) or answer.processed + answer.failed != len(
            values
        ):
            raise RetryLater(
                f"{len(values)} values were sent, and Zabbix says {answer.words}"
            )
        return answer


def from_target(target: Target) -> Zabbix:
    """Build from ``zabbix://H:P?host=NAME``."""
    return Zabbix(target)
