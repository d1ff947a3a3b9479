"""SQLAlchemy through its own events, on every engine there is and will be.

Its statements are counted here and not again by the driver below.
"""

from functools import partial
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from probekit.integrations.libraries.database import Place, execution
from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.patching import Patches

_OPERATION = "_probekit_operation"
_SYSTEMS = {
    "mssql": "microsoft.sql_server",
    "oracle": "oracle.db",
}


def patch(patches: Patches, module: ModuleType) -> None:
    """Listen to ``sqlalchemy``'s engines."""
    engine, event = module.engine.Engine, module.event
    listener = Listener(patches)
    for name in ("before_cursor_execute", "after_cursor_execute", "handle_error"):
        heard = getattr(listener, name)
        event.listen(engine, name, heard)
        patches.on_undo(partial(event.remove, engine, name, heard))


class Listener:
    """What is done at the beginning and at either end of a statement."""

    def __init__(self, patches: Patches) -> None:
        """Listen as long as *patches* are active."""
        self._patches = patches
        self._places: WeakKeyDictionary[Any, Place] = WeakKeyDictionary()

    def before_cursor_execute(
        self,
        connection: Any,
        _cursor: Any,
        statement: Any,
        _parameters: Any,
        context: Any,
        _executemany: Any,
    ) -> None:
        """Start the clock; the statement is ended by one of the other two."""
        try:
            if self._patches.active:
                place = self._place(connection.engine, connection.dialect)
                operation = execution(place, (statement,), {})
                setattr(context, _OPERATION, operation)
        except Exception as error:
            told("sqlalchemy", error)

    def after_cursor_execute(
        self,
        _connection: Any,
        _cursor: Any,
        _statement: Any,
        _parameters: Any,
        context: Any,
        _executemany: Any,
    ) -> None:
        """Record a statement that went well."""
        _stop(context, None)

    def handle_error(self, happened: Any) -> None:
        """Record one that failed, under the driver's own exception."""
        _stop(happened.execution_context, happened.original_exception)

    def _place(self, engine: Any, dialect: Any) -> Place:
        place = self._places.get(engine)
        if place is None:
            place = self._places[engine] = _described(engine.url, dialect)
        return place


def _described(url: Any, dialect: Any) -> Place:
    name = str(dialect.name)
    if name == "mysql" and getattr(dialect, "is_mariadb", False):
        name = "mariadb"
    namespace = url.database
    if name == "sqlite":
        namespace = str(namespace or ":memory:").rpartition("/")[2]
    return Place(
        _SYSTEMS.get(name, name),
        namespace=namespace,
        host=url.host,
        port=url.port,
    )


def _stop(context: Any, error: "BaseException | None") -> None:
    try:
        operation = vars(context).pop(_OPERATION, None) if context is not None else None
        if operation is not None:
            operation.stop(error)
    except Exception as failure:
        told("sqlalchemy", failure)
