"""Whether a descriptor is still ours: hosts that daemonize close and reuse numbers."""

import os
from typing import TypeAlias

Identity: TypeAlias = "tuple[int, int]"


def identity(descriptor: int) -> "Identity | None":
    """Device and inode behind *descriptor*; None when nothing is open there.

    Example:
        >>> identity(-1) is None
        True

    """
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
