"""sqlite3: ``connect`` hands out recording subclasses of Connection and Cursor.

Connections opened before, or whose factory is no class, are left as they are.
"""

from functools import lru_cache
from os import fsdecode
from pathlib import PurePath
from types import MethodDescriptorType, ModuleType
from typing import Any

from probekit.integrations.libraries.database import Place, execution
from probekit.integrations.libraries.patching import Patches
from probekit.integrations.libraries.subclass import (
    opened_by_probekit,
    place_of,
    settle,
    timed_connection,
    timed_cursor,
)

_FACTORY_INDEX = 5  # of connect's arguments, behind check_same_thread


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``sqlite3.dbapi2``, and every name that ``connect`` was imported under."""

    def connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        if opened_by_probekit():
            return wrapped(*args, **kwargs)
        args, kwargs = _with_factory(module, args, kwargs)
        connection = wrapped(*args, **kwargs)
        database = args[0] if args else kwargs.get("database")
        settle(connection, lambda: _place(database, patches), "sqlite3")
        return connection

    patches.wrap(module, "connect", connect, everywhere=True)


def _with_factory(module: ModuleType, args: Any, kwargs: Any) -> "tuple[Any, Any]":
    if len(args) > _FACTORY_INDEX:
        factory = _connection_class(args[_FACTORY_INDEX], module.Cursor)
        behind = args[_FACTORY_INDEX + 1 :]
        return (*args[:_FACTORY_INDEX], factory, *behind), kwargs
    asked = kwargs.get("factory", module.Connection)
    return args, {**kwargs, "factory": _connection_class(asked, module.Cursor)}


@lru_cache(maxsize=256)
def _connection_class(base: Any, plain: Any) -> Any:
    """The recording subclass of *base*; *plain* is the driver's own cursor class."""

    def cursor(of_base: Any, args: Any, kwargs: Any) -> Any:
        if args:
            return of_base(timed_cursor(args[0]), *args[1:], **kwargs)
        asked = kwargs.get("factory", plain)
        return of_base(**{**kwargs, "factory": timed_cursor(asked)})

    made = timed_connection(base, cursor)
    if made is not base:
        for name in ("execute", "executemany", "executescript"):
            setattr(made, name, _shortcut(name, made, plain))
    return made


def _shortcut(name: str, made: Any, plain: Any) -> Any:
    """``connection.execute`` and its sisters, which take a cursor of their own.

    From Python 3.11 on the driver makes that cursor in C, past our ``cursor``.
    """

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with execution(place_of(self), args, kwargs):
            return getattr(super(made, self), name)(*args, **kwargs)

    def driver_method(self: Any, *args: Any) -> Any:
        cursor = super(made, self).cursor(timed_cursor(plain))
        return getattr(cursor, name)(*args)

    inherited = getattr(made, name)
    ours = driver_method if isinstance(inherited, MethodDescriptorType) else method
    ours.__name__, ours.__qualname__ = name, f"{made.__qualname__}.{name}"
    return ours


def _place(database: Any, patches: Patches) -> Place:
    """Name the database by its file's name; its directory tells about people."""
    path = fsdecode(database)
    if path.startswith("file:"):
        path = path[len("file:") :].partition("?")[0]
    return Place("sqlite", namespace=PurePath(path).name or ":memory:", patches=patches)
