"""Takes metrics, events and spans into ClickHouse's OpenTelemetry tables over HTTP.

One insert for each table, with a token made of its records: ClickHouse answers a
repeated one with success and stores nothing twice.
"""

import re
import zlib
from collections.abc import Callable
from urllib.parse import urlencode

from probekit.errors import ConfigError, ExportError, Forbidden, Rejected
from probekit.exporters.clickhouse.refusals import MISSING, code_of, refusal
from probekit.exporters.clickhouse.rows import ClickhouseRows, Insert
from probekit.exporters.clickhouse.tables import TABLES, statement_of
from probekit.exporters.figures import learn
from probekit.exporters.otlp.delivered import Delivered
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Snapshot
from probekit.ports import DeliveryContract

DEFAULT_PORT = 8123
DEFAULT_DATABASE = "otel"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_GZIP_LEVEL, _GZIP_WINDOW = 3, 31
# Times are RFC 3339; an acknowledged insert is stored; a repeated one is recognised.
_SETTINGS = {
    "date_time_input_format": "best_effort",
    "async_insert": "0",
    "wait_end_of_query": "1",
    "insert_deduplicate": "1",
}


class Clickhouse:
    """Sends inserts.

    Args:
        target: ``clickhouse://user:password@host:8123/DB``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        self._database = self._target.path.strip("/") or DEFAULT_DATABASE
        self._create = options.flag("create", default=True)
        self._days = options.integer("retention_days", 0, low=0, high=36_500)
        self._gzip = options.flag("gzip", default=True)
        self._transport = HttpTransport.from_options(
            self._target,
            options,
            default_port=DEFAULT_PORT,
            tls=self._target.scheme.endswith("+https"),
            base_path="",
        )
        options.finish()
        if not _NAME.fullmatch(self._database):
            raise ConfigError(
                f"exporters: {self._target}: a database is named by letters, digits "
                f"and underscores"
            )
        self._rows = ClickhouseRows()
        self._delivered = Delivered()
        self._is_ready = not self._create
        self.contract = DeliveryContract(
            idempotent=True, max_records=10_000, deadline_s=self._transport.timeout_s
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Clickhouse({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its mark in the order of first appearance."""
        learn(snapshot, self._rows.learn)

    def send(self, batch: Batch) -> None:
        """Return when the server has stored all of *batch*.

        Raises:
            RetryLater, TooLarge, Forbidden: As ``refusals`` has it; what was stored
                before that does not go again.
            Rejected: It refuses a row; of this table's rows none is stored.

        """
        deadline = self._transport.deadline()
        rest = self._delivered.remaining(batch)
        inserts = self._rows.inserts(rest)
        if not self._is_ready:
            self._prepare(deadline)
        done: list[Insert] = []
        try:
            for insert in inserts:
                self._insert(insert, deadline)
                done.append(insert)
        except ExportError:
            for insert in done:
                self._delivered.add(insert.part, insert.signal)
            raise
        self._delivered.forget(batch)

    def _prepare(self, deadline: Deadline) -> None:
        statements = [f"CREATE DATABASE IF NOT EXISTS {self._database}"]
        statements += [
            statement_of(table, self._database, self._days) for table in TABLES
        ]
        for statement in statements:
            answer = self._transport.exchange(
                "POST", "/", statement.encode("ascii"), deadline=deadline
            )
            error = refusal(self._transport, answer, 0)
            if isinstance(error, Rejected):  # it is not the records' fault
                raise Forbidden(str(error))
            if error is not None:
                raise error
        self._is_ready = True

    def _insert(self, insert: Insert, deadline: Deadline) -> None:
        query = {
            "query": f"INSERT INTO {self._database}.{insert.table} FORMAT JSONEachRow",
            "insert_deduplication_token": insert.token,
            **_SETTINGS,
        }
        body, headers = insert.body, {"Content-Type": "application/x-ndjson"}
        if self._gzip:
            compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
            body = compressor.compress(body) + compressor.flush()
            headers["Content-Encoding"] = "gzip"
        path = f"/?{urlencode(query)}"
        answer = self._transport.exchange(
            "POST", path, body, headers, deadline=deadline
        )
        error = refusal(self._transport, answer, len(insert.part))
        if error is None:
            return
        if code_of(answer) in MISSING:
            self._is_ready = not self._create
            if not self._create:
                raise Forbidden(str(error))
        raise error

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def from_target(target: Target) -> Clickhouse:
    """Build from ``clickhouse://H:P/DB`` or ``clickhouse+https://``."""
    return Clickhouse(target)
