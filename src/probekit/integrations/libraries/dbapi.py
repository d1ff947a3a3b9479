"""Any other DB-API 2 driver, through proxies around its connections and cursors.

For drivers that probekit has no module for. The proxies pass ``isinstance`` checks
and hand on everything they do not time; C code that insists on the exact type is the
one thing that notices, which is why the drivers that have a module do without them.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import wrapt

from probekit.errors import ConfigError
from probekit.integrations.libraries.database import Place, command, execution
from probekit.integrations.libraries.patching import Patches


def instrument_driver(
    module: ModuleType,
    system: str,
    *,
    namespace: "str | None" = None,
    host: "str | None" = None,
    port: "int | None" = None,
) -> "Callable[[], None]":
    """Record the statements of a DB-API driver that probekit does not know.

    Args:
        module: The driver; its ``connect`` is patched.
        system: ``db.system.name``, such as ``firebirdsql``.
        namespace: Name of the database, when there is one for all connections.
        host: Its server, likewise.
        port: Its port, likewise.

    Returns:
        A function that puts ``connect`` back.

    Raises:
        ConfigError: The module has no function ``connect``.

    Example:
        >>> import sqlite3
        >>> undo = instrument_driver(sqlite3, "sqlite")
        >>> connection = sqlite3.connect(":memory:")
        >>> isinstance(connection, sqlite3.Connection)
        True
        >>> connection.execute("SELECT 1").fetchone()
        (1,)
        >>> connection.close(); undo()

    """
    patches = Patches()
    place = Place(system, namespace=namespace, host=host, port=port, patches=patches)

    def connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return ConnectionProxy(wrapped(*args, **kwargs), place)

    if not callable(getattr(module, "connect", None)):
        raise ConfigError(f"{module!r} is no DB-API driver: it has no connect()")
    patches.wrap(module, "connect", connect)
    return patches.undo


class ConnectionProxy(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A connection whose cursors are timed."""

    def __init__(self, connection: Any, place: Place) -> None:
        """Stand in for *connection*."""
        super().__init__(connection)
        self._self_place = place

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return a cursor that is timed."""
        cursor = self.__wrapped__.cursor(*args, **kwargs)
        return CursorProxy(cursor, self._self_place, self)

    def __enter__(self) -> Any:
        """Enter the driver's own block, whatever that means there."""
        entered = self.__wrapped__.__enter__()
        if entered is self.__wrapped__:
            return self
        if hasattr(entered, "execute") and not hasattr(entered, "cursor"):
            return CursorProxy(entered, self._self_place, self)
        return entered

    def __getattr__(self, name: str) -> Any:
        """Time ``connection.execute`` where the driver has it; hand on the rest."""
        found = getattr(self.__wrapped__, name)
        if name in {"execute", "executemany", "executescript"}:
            return _timed(found, self._self_place, self)
        return found


class CursorProxy(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A cursor whose statements are timed."""

    def __init__(self, cursor: Any, place: Place, connection: Any) -> None:
        """Stand in for *cursor* of *connection*, itself a proxy."""
        super().__init__(cursor)
        self._self_place = place
        self._self_connection = connection

    @property
    def connection(self) -> Any:
        """The connection, as the application knows it."""
        return self._self_connection

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        """Time a stored procedure."""
        with command(self._self_place, "CALL"):
            return self.__wrapped__.callproc(*args, **kwargs)

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Time a statement."""
        with execution(self._self_place, args, kwargs):
            result = self.__wrapped__.execute(*args, **kwargs)
        return self if result is self.__wrapped__ else result

    def executemany(self, *args: Any, **kwargs: Any) -> Any:
        """Time a statement with many parameters."""
        with execution(self._self_place, args, kwargs):
            result = self.__wrapped__.executemany(*args, **kwargs)
        return self if result is self.__wrapped__ else result

    def __enter__(self) -> Any:
        """Enter the driver's own block."""
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __iter__(self) -> Any:
        """Rows, one at a time."""
        return iter(self.__wrapped__)


def _timed(found: Any, place: Place, connection: Any) -> Any:
    def execute(*args: Any, **kwargs: Any) -> Any:
        with execution(place, args, kwargs):
            result = found(*args, **kwargs)
        if hasattr(result, "fetchone"):
            return CursorProxy(result, place, connection)
        return result

    return execute
