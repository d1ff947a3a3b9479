"""Segments on the disk and not only in the kernel: what power loss may cost is bounded.

Whoever leads does it for all processes: a sync of a file covers what anybody wrote, and
no application's thread, nor the one that writes its frames, ever waits for the disk.
"""

import os
from collections.abc import Callable
from pathlib import Path

from probekit.buffer.journal import segment_files

_sync = getattr(os, "fdatasync", os.fsync)


class Syncer:
    """Syncs what has grown since the last time.

    Threads:
        The leader's.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder of segments; all of them count as new."""
        self._folder = folder
        self._synced: dict[str, int] = {}
        self._is_placed = False

    def turn(self) -> None:
        """Sync every segment that has grown, and the folder when names have changed.

        Raises:
            OSError: The disk refuses; what was not synced is tried again.

        """
        grown = {name.text: size for name, size in segment_files.sizes(self._folder)}
        for name in self._synced.keys() - grown.keys():
            del self._synced[name]
        fresh = grown.keys() - self._synced.keys()
        for name, size in grown.items():
            if self._synced.get(name, 0) < size:
                sync_segment(self._folder, name)
                self._synced[name] = size
        if fresh or not self._is_placed:
            sync_places(self._folder, everywhere=not self._is_placed)
            self._is_placed = True


def sync_segment(folder: Path, name: str) -> None:
    """Bring all of one segment onto the disk; one that is gone was folded.

    Raises:
        OSError: The disk refuses.

    """
    _sync_path(folder / name, _sync)


def sync_places(folder: Path, *, everywhere: bool) -> None:
    """Bring the names in *folder* onto the disk; *everywhere*: its own name too.

    Raises:
        OSError: The disk refuses.

    """
    _sync_path(folder, os.fsync)
    if everywhere:
        _sync_path(folder.parent, os.fsync)


def _sync_path(path: Path, sync: "Callable[[int], None]") -> None:
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:  # folded and removed meanwhile
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
