"""Finds the descriptors that SQLite opened, and keeps what must never be closed."""

import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from probekit.descriptor import Held


def open_on(paths: "Sequence[str]") -> "frozenset[Held]":
    """This process's descriptors on files at *paths*, symbolic links resolved.

    Empty where the system does not tell (no ``/proc``).
    """
    if not paths:
        return frozenset()
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
    except (OSError, ValueError):
        return frozenset()
    wanted = {os.path.realpath(path) for path in paths}
    return frozenset(held for number in numbers if (held := _on(number, wanted)))


def _on(number: int, wanted: "AbstractSet[str]") -> "Held | None":
    try:
        path = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115 - text suffices
        return Held.of(number) if path in wanted else None
    except OSError:  # the listing's own descriptor, or closed meanwhile
        return None


def leak(connection: object) -> None:
    """Never finalise what is inherited: closing it would undo the parent's locks.

    A reference held by a module is dropped when the child's interpreter ends; one
    that only C knows is not.
    """
    try:
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    except (ImportError, AttributeError):  # no ctypes in this build
        _kept.append(connection)


_kept: "list[object]" = []
