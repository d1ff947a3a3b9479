"""psycopg2: every connection is made by ``_connect``, here with recording factories.

Asynchronous connections are left alone: their ``execute`` returns at once.
"""

from functools import lru_cache
from types import ModuleType
from typing import Any

from probekit.integrations.libraries.database import Place
from probekit.integrations.libraries.patching import Patches
from probekit.integrations.libraries.subclass import (
    opened_by_probekit,
    settle,
    timed_connection,
    timed_cursor,
)


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``psycopg2``; also reaches ``connect`` imported by name before."""

    def connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        plain = len(args) == 1 and not (kwargs.keys() - {"connection_factory"})
        if not plain or opened_by_probekit():
            return wrapped(*args, **kwargs)
        asked = kwargs.get("connection_factory") or module.extensions.connection
        factory = _connection_class(asked, module.extensions.cursor)
        connection = wrapped(*args, connection_factory=factory)
        settle(connection, lambda: _place(connection, patches), "psycopg2")
        return connection

    patches.wrap(module, "_connect", connect)


@lru_cache(maxsize=256)
def _connection_class(base: Any, plain_cursor: Any) -> Any:
    def cursor(of_base: Any, args: Any, kwargs: Any) -> Any:
        if len(args) > 1:  # cursor(name, cursor_factory, ...)
            factory = timed_cursor(args[1] or plain_cursor)
            return of_base(args[0], factory, *args[2:], **kwargs)
        asked = kwargs.get("cursor_factory") or _default(of_base) or plain_cursor
        return of_base(*args, **{**kwargs, "cursor_factory": timed_cursor(asked)})

    return timed_connection(base, cursor)


def _default(of_base: Any) -> Any:
    return getattr(of_base.__self__, "cursor_factory", None)


def _place(connection: Any, patches: Patches) -> Place:
    parameters = connection.get_dsn_parameters()  # without the password
    return Place(
        "postgresql",
        namespace=parameters.get("dbname"),
        host=parameters.get("host"),
        port=parameters.get("port"),
        patches=patches,
    )
