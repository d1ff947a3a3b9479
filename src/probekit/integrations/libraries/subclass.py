"""Connections and cursors in C, made recordable by a subclass of their own class.

Their types cannot be patched, and a proxy would fail the drivers' own type checks. So
the driver is asked, through its own factory argument, for a subclass that times
``execute`` and its sisters: ``isinstance`` holds, and so does everything in C.
"""

import sys
from collections.abc import Callable
from functools import lru_cache
from types import FrameType
from typing import Any

from probekit.integrations.libraries.database import Place, command, execution
from probekit.integrations.libraries.figures import told

PLACE = "_probekit_place"


def place_of(connection: object) -> "Place | None":
    """Where *connection* leads; None when it is not recorded."""
    place = getattr(connection, PLACE, None)
    return place if isinstance(place, Place) else None


@lru_cache(maxsize=256)
def timed_cursor(base: Any) -> Any:
    """Return the recording subclass of the cursor class *base*, or *base* itself."""
    if not _may_subclass(base):
        return base

    class Cursor(base):  # type: ignore[misc]
        def execute(self, *args: Any, **kwargs: Any) -> Any:
            with execution(place_of(self.connection), args, kwargs):
                return super().execute(*args, **kwargs)

        def executemany(self, *args: Any, **kwargs: Any) -> Any:
            with execution(place_of(self.connection), args, kwargs):
                return super().executemany(*args, **kwargs)

    if hasattr(base, "executescript"):

        def executescript(self: Any, *args: Any, **kwargs: Any) -> Any:
            with execution(place_of(self.connection), args, kwargs):
                return super(Cursor, self).executescript(*args, **kwargs)

        Cursor.executescript = executescript
    if hasattr(base, "callproc"):

        def callproc(self: Any, *args: Any, **kwargs: Any) -> Any:
            with command(place_of(self.connection), "CALL"):
                return super(Cursor, self).callproc(*args, **kwargs)

        Cursor.callproc = callproc
    return _named_like(Cursor, base)


def timed_connection(
    base: Any,
    cursor: "Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]",
) -> Any:
    """Return a subclass of the connection class *base*, or *base* itself.

    Args:
        base: A class of the driver's, or of the application's above it.
        cursor: Called with (bound ``cursor`` of the base, positional, keywords);
            returns the cursor.

    """
    if not _may_subclass(base):
        return base

    class Connection(base):  # type: ignore[misc]
        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            return cursor(super().cursor, args, kwargs)

    return _named_like(Connection, base)


def settle(connection: object, place: "Callable[[], Place]", library: str) -> None:
    """Tell a *connection* where it leads; never raises."""
    try:
        setattr(connection, PLACE, place())
    except Exception as error:
        told(library, error)


def opened_by_probekit() -> bool:
    """Whether the connection being opened is one of our own, such as the buffer's.

    Looks at who called ``connect``, past the wrappers and sqlite-utils.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if not name.startswith((__package__, "wrapt", "sqlite_utils")):
            ours = name == "probekit" or name.startswith("probekit.")
            return ours and not name.startswith("probekit.testing")
        frame = frame.f_back
    return False


def _may_subclass(base: Any) -> bool:
    # An application's own __init_subclass__ or metaclass would notice us.
    return (
        isinstance(base, type)
        and type(base) is type
        and not any("__init_subclass__" in vars(kind) for kind in base.__mro__[:-1])
        and bool(base.__flags__ & _BASETYPE)
    )


_BASETYPE = 1 << 10  # Py_TPFLAGS_BASETYPE: the class may have subclasses


def _named_like(made: Any, base: Any) -> Any:
    made.__name__, made.__qualname__ = base.__name__, base.__qualname__
    made.__module__, made.__doc__ = base.__module__, base.__doc__
    return made
