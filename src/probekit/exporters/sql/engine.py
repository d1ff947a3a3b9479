"""One connection to a database, with a deadline that holds for every driver."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from probekit.errors import ConfigError, MissingExtra, RetryLater

if TYPE_CHECKING:
    import sqlalchemy as sa

# Arguments that bound connecting and waiting, by driver; seconds.
_PATIENCE = {
    "psycopg": ("connect_timeout",),
    "psycopg2": ("connect_timeout",),
    "pymysql": ("connect_timeout", "read_timeout", "write_timeout"),
    "mysqldb": ("connect_timeout", "read_timeout", "write_timeout"),
    "pysqlite": ("timeout",),
}


def engine_of(url: str, timeout_s: float, shown: str) -> "sa.Engine":
    """An engine that holds one connection and has opened nothing yet.

    Args:
        url: SQLAlchemy's form.
        timeout_s: For connecting, and for each statement where the driver can.
        shown: The URL without secrets, for errors.

    Raises:
        MissingExtra: SQLAlchemy or the driver is not installed.
        ConfigError: SQLAlchemy does not know the database, or the URL is none.

    """
    try:
        import sqlalchemy as sa
    except ImportError:
        raise MissingExtra(
            f"exporters: {shown} needs SQLAlchemy: pip install 'probekit[sql]'"
        ) from None
    try:
        parsed = sa.make_url(url)
        driver = parsed.get_dialect().driver
        whole_s = max(1, round(timeout_s))
        arguments: dict[str, Any] = dict.fromkeys(_PATIENCE.get(driver, ()), whole_s)
        if driver == "pysqlite":
            arguments["check_same_thread"] = False
        return sa.create_engine(
            parsed,
            connect_args=arguments,
            hide_parameters=True,
            json_serializer=str,
            max_overflow=0,
            pool_size=1,
            poolclass=sa.QueuePool,
            pool_reset_on_return="rollback",
        )
    except ImportError as error:
        raise MissingExtra(
            f"exporters: {shown} needs a driver that is not installed: {error}"
        ) from None
    except (sa.exc.ArgumentError, TypeError, ValueError) as error:
        raise ConfigError(f"exporters: {shown}: {type(error).__name__}") from None


class Door:
    """Opens transactions on an engine.

    Args:
        engine: From :func:`engine_of`.
        timeout_s: For one transaction, seconds; a connection that takes longer is
            shut down under the driver.
        where: For errors.
    """

    def __init__(self, engine: "sa.Engine", timeout_s: float, where: str) -> None:
        """Open nothing yet."""
        self._engine = engine
        self._timeout_s = timeout_s
        self._where = where
        self._pid = os.getpid()

    @contextmanager
    def transaction(self) -> "Iterator[sa.Connection]":
        """A connection in a transaction that commits at the end.

        Raises:
            RetryLater: The deadline passed.

        """
        if self._pid != os.getpid():  # the parent's connection is not ours to use
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        with self._engine.connect() as connection:
            watch = _Watch(connection, self._timeout_s)
            try:
                with connection.begin():
                    yield connection
            except Exception:
                if watch.has_bitten():
                    raise RetryLater(
                        f"{self._where} did not finish within {self._timeout_s:g} s"
                    ) from None
                raise
            finally:
                watch.stop()

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose(close=self._pid == os.getpid())


class _Watch:
    """Shuts a connection's socket down when the time is over.

    A database that is stopped (not gone) answers nothing and breaks nothing: drivers
    without a timeout of their own would wait for ever.
    """

    def __init__(self, connection: "sa.Connection", timeout_s: float) -> None:
        self._bitten = threading.Event()
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None
        fileno = getattr(connection.connection.driver_connection, "fileno", None)
        if fileno is None:  # SQLite; PyMySQL, which keeps its own deadline
            return
        # A duplicate: the number cannot become somebody else's in the meantime.
        self._socket = socket.socket(fileno=os.dup(fileno()))
        self._timer = threading.Timer(timeout_s, self._bite)
        self._timer.daemon = True
        self._timer.start()

    def _bite(self) -> None:
        self._bitten.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def has_bitten(self) -> bool:
        return self._bitten.is_set()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._socket is not None:
            self._socket.close()
