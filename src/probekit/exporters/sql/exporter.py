"""Takes metrics, events and spans into tables of a relational database.

A batch is one transaction, and every row has a key of its own (buffer, window and
series; buffer and number): what comes again replaces itself. So nothing is lost, and
nothing is double, whoever dies when.
"""

import re

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import ConfigError, Rejected, RetryLater
from probekit.exporters.sql.engine import Door, engine_of
from probekit.exporters.sql.refusals import as_export_error
from probekit.exporters.sql.retention import Retention
from probekit.exporters.sql.rows import Row, Rows
from probekit.exporters.sql.schema import DEFAULT_PREFIX, Tables, prepare
from probekit.exporters.sql.upsert import upsert
from probekit.exporters.urls import Target
from probekit.model import Batch
from probekit.ports import DeliveryContract

OPTIONS = ("create", "prefix", "retention_days", "timeout_s")
LAST_SEEN_EVERY_NS = 3600 * 10**9
_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_MOST_KNOWN = 50_000


class Sql:
    """Writes tables.

    Args:
        target: ``sql+`` before any URL of SQLAlchemy's, with our own parameters in its
            query; text or parsed.
        clock: For the retention.
    """

    def __init__(self, target: "Target | str", *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Open nothing yet.

        Raises:
            MissingExtra: SQLAlchemy or the database's driver is not installed.
            ConfigError: The URL or a parameter cannot be used.

        """
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        prefix = options.text("prefix", DEFAULT_PREFIX)
        if not _PREFIX.fullmatch(prefix):
            raise options.refuse(
                "prefix", "must be up to 32 lower-case letters, digits, underscores"
            )
        days = options.seconds("retention_days", 0.0, low=0.0, high=36_500.0)
        self._create = options.flag("create", default=True)
        timeout_s = options.seconds("timeout_s", 10.0, low=1.0, high=300.0)
        if self._target.scheme == "sql+":  # any other name may be for the driver
            options.finish()
        engine = engine_of(_theirs(self._target), timeout_s, str(self._target))
        self._door = Door(engine, timeout_s, str(self._target))
        self._tables = Tables(prefix)
        self._retention = Retention(self._tables, days, clock=clock)
        self._rows = Rows()
        self._known: dict[object, int] = {}
        self._is_ready = False
        self.contract = DeliveryContract(idempotent=True, deadline_s=2 * timeout_s)

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Sql({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Return when the database has committed *batch*.

        Raises:
            RetryLater: It cannot be reached, is busy, full or slow.
            Forbidden: It refuses us, or its tables are newer than ours.
            TooLarge: It wants smaller statements.
            Rejected: It refuses a record; the transaction was taken back.

        """
        from sqlalchemy import exc

        rows = self._rows.of(batch)
        try:
            self._write_anew(rows)
        except exc.DBAPIError as error:
            self._is_ready = False  # somebody may have dropped a table
            self._known.clear()
            raise as_export_error(error, str(self._target)) from None
        except (exc.StatementError, TypeError, ValueError, OverflowError) as error:
            # A value that the driver cannot say at all.
            raise Rejected(f"{self._target}: {type(error).__name__}") from None
        except exc.SQLAlchemyError as error:
            raise RetryLater(f"{self._target}: {type(error).__name__}") from None

    def _write_anew(self, rows: "dict[str, list[Row]]") -> None:
        """Write; once more where only an idle connection had died in the meantime."""
        from sqlalchemy import exc

        try:
            self._write(rows)
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self._write(rows)

    def _write(self, rows: "dict[str, list[Row]]") -> None:
        if not self._is_ready:
            with self._door.transaction() as connection:
                prepare(connection, self._tables, create=self._create)
            self._is_ready = True
        fresh = self._fresh(rows.get("series", []))
        with self._door.transaction() as connection:
            if fresh:
                upsert(connection, self._tables.series, fresh)
            for name in ("points", "events", "spans"):
                some = rows.get(name)
                if some:
                    upsert(connection, getattr(self._tables, name), some)
            if self._retention.is_due():
                self._retention.delete_some(connection)
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        for row in fresh:
            self._known[row["series_key"]] = _seen(row)

    def _fresh(self, rows: "list[Row]") -> "list[Row]":
        """The series that the database does not know, or has not seen for an hour."""
        return [
            row
            for row in rows
            if _seen(row)
            >= self._known.get(row["series_key"], -LAST_SEEN_EVERY_NS)
            + LAST_SEEN_EVERY_NS
        ]

    def close(self) -> None:
        """Close the connection."""
        self._door.close()


def from_target(target: Target) -> Sql:
    """Build from ``sql+`` and any URL of SQLAlchemy's."""
    return Sql(target)


def _seen(row: Row) -> int:
    seen = row["last_seen_unix_ns"]
    return seen if isinstance(seen, int) else 0


def _theirs(target: Target) -> str:
    """The URL as SQLAlchemy wants it: without ``sql+`` and our own parameters."""
    url = target.url.partition("+")[2]
    if target.scheme == "sql+":
        raise ConfigError(f"exporters: {target}: want sql+ and a URL of SQLAlchemy's")
    head, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part.partition("=")[0] not in OPTIONS]
    return f"{head}?{'&'.join(kept)}" if any(kept) else head
