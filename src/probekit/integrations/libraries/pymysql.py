"""PyMySQL: ``execute`` and ``executemany`` of its cursors, MySQL's and MariaDB's."""

from types import ModuleType
from typing import Any

from probekit.integrations.libraries.database import Place, command, execution
from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.patching import Patches
from probekit.integrations.libraries.subclass import PLACE, place_of


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``pymysql.cursors``."""
    patches.wrap(module.Cursor, "execute", _execute)
    patches.wrap(module.Cursor, "executemany", _execute)
    patches.wrap(module.Cursor, "callproc", _callproc)


def _execute(wrapped: Any, cursor: Any, args: Any, kwargs: Any) -> Any:
    with execution(_place(cursor), args, kwargs):
        return wrapped(*args, **kwargs)


def _callproc(wrapped: Any, cursor: Any, args: Any, kwargs: Any) -> Any:
    with command(_place(cursor), "CALL"):
        return wrapped(*args, **kwargs)


def _place(cursor: Any) -> "Place | None":
    try:
        connection = cursor.connection
        place = place_of(connection)
        if place is None and connection is not None:
            place = _described(connection)
            setattr(connection, PLACE, place)
        return place
    except Exception as error:
        told("pymysql", error)
        return None


def _described(connection: Any) -> Place:
    version = str(getattr(connection, "server_version", ""))
    name = connection.db
    return Place(
        "mariadb" if "mariadb" in version.lower() else "mysql",
        namespace=name.decode("utf-8", "replace") if isinstance(name, bytes) else name,
        host=connection.host,
        port=connection.port,
    )
