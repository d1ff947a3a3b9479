"""psycopg 3: ``execute`` and ``executemany`` of its cursors, sync and async.

``stream`` and ``copy`` hand rows over while the application works: not timed.
"""

from types import ModuleType
from typing import Any

from probekit.integrations.libraries.database import Place, execution
from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.operation import UNCOUNTED, Operation, Uncounted
from probekit.integrations.libraries.patching import Patches
from probekit.integrations.libraries.subclass import PLACE, place_of


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``psycopg``."""
    for kind in (module.Cursor, module.ServerCursor):
        for method in ("execute", "executemany"):
            if method in vars(kind):
                patches.wrap(kind, method, _execute)
    for kind in (module.AsyncCursor, module.AsyncServerCursor):
        for method in ("execute", "executemany"):
            if method in vars(kind):
                patches.wrap(kind, method, _execute_async)


def _execute(wrapped: Any, cursor: Any, args: Any, kwargs: Any) -> Any:
    with _begin(cursor, args, kwargs):
        return wrapped(*args, **kwargs)


async def _execute_async(wrapped: Any, cursor: Any, args: Any, kwargs: Any) -> Any:
    with _begin(cursor, args, kwargs):
        return await wrapped(*args, **kwargs)


def _begin(cursor: Any, args: Any, kwargs: Any) -> "Operation | Uncounted":
    try:
        connection = cursor.connection
        place = place_of(connection)
        if place is None:
            place = _place(connection)
            setattr(connection, PLACE, place)
        asked = args[0] if args else kwargs.get("query", "")
        if not isinstance(asked, str | bytes):
            asked = asked.as_string(cursor)  # psycopg's own composed statements
        return execution(place, (asked,), {})
    except Exception as error:
        told("psycopg", error)
        return UNCOUNTED


def _place(connection: Any) -> Place:
    info = connection.info
    return Place(
        "postgresql",
        namespace=info.dbname,
        host=info.host,
        port=info.port,
    )
