"""Descriptors that the host may close behind our back, and reuse their numbers.

Daemonizing programs close everything above 2. Whoever keeps a descriptor for long
asks here before each use, so that no byte of ours ever lands in a file of the host's.
"""

import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """An open descriptor and the file it was opened on.

    Attributes:
        number: The descriptor.
        device: Device of the file.
        inode: Inode of the file.
    """

    number: int
    device: int
    inode: int

    @classmethod
    def of(cls, number: int) -> "Held":
        """Remember what *number* is open on.

        Raises:
            OSError: It is not open.

        """
        found = os.fstat(number)
        return cls(number, found.st_dev, found.st_ino)

    def is_ours(self) -> bool:
        """Whether the number is still open on the same file; a microsecond."""
        try:
            found = os.fstat(self.number)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (self.device, self.inode)

    def close(self) -> None:
        """Close it, if it is still ours."""
        if self.is_ours():
            os.close(self.number)


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
