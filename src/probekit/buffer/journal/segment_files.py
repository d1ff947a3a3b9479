"""Segment files: their names, their making, whether their owner lives, their frames.

A name is ``<time>-<pid>-<stream>.seg``: sixteen hex digits of nanoseconds, rising
within a stream, the writer's process id, sixteen hex digits drawn once a stream. A
segment gets its name only when it is locked by its owner, so that nobody can take a
newborn for an orphan.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probekit.buffer.journal.frames import BadFrame, Frame, decode
from probekit.buffer.locks import (
    lock_descriptor,
    make_private_directory,
    open_private,
    refuse_foreign,
)

_NAME = re.compile(r"([0-9a-f]{16})-(\d+)-([0-9a-f]{16})\.seg")
_NEWBORN = ".new"


@dataclass(frozen=True, slots=True)
class SegmentName:
    """What the name of a segment says.

    Attributes:
        text: The file's name.
        stream: The writer's life, over all its segments.
        pid: The writer's process id.
    """

    text: str
    stream: str
    pid: int

    @classmethod
    def parse(cls, text: str) -> "SegmentName | None":
        """None when *text* is no segment's name."""
        match = _NAME.fullmatch(text)
        return cls(text, match[3], int(match[2])) if match else None


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A segment held by its writer.

    Attributes:
        name: The file's name.
        descriptor: Open for appending, locked.
        device: Device of the file, to recognise a foreign descriptor.
        inode: Inode of the file, likewise.
    """

    name: str
    descriptor: int
    device: int
    inode: int

    def size_bytes(self) -> "int | None":
        """Length of the file; None when the descriptor or the path is not ours now."""
        try:
            found = os.fstat(self.descriptor)
        except OSError:
            return None
        if (found.st_dev, found.st_ino) != (self.device, self.inode):
            return None  # the host closed it and the number was given to another file
        return found.st_size if found.st_nlink else None

    def close(self) -> None:
        """Close the descriptor if it is still ours; the lock goes with it."""
        try:
            found = os.fstat(self.descriptor)
            if (found.st_dev, found.st_ino) == (self.device, self.inode):
                os.close(self.descriptor)
        except OSError:  # closed by the host already
            return


def create(directory: Path, time_ns: int, stream: str) -> OpenSegment:
    """Make a segment, lock it, and only then give it its name.

    Raises:
        OSError: It cannot be made.

    """
    make_private_directory(directory)
    refuse_foreign(directory)
    name = f"{time_ns:016x}-{os.getpid()}-{stream}.seg"
    newborn = directory / (name + _NEWBORN)
    descriptor = open_private(
        newborn,
        os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL,
    )
    try:
        if not lock_descriptor(descriptor):
            raise BlockingIOError(f"{newborn} is locked by another process")
        found = os.fstat(descriptor)
        newborn.rename(directory / name)
    except BaseException:
        os.close(descriptor)
        newborn.unlink(missing_ok=True)
        raise
    return OpenSegment(name, descriptor, found.st_dev, found.st_ino)


def names(directory: Path) -> "list[SegmentName]":
    """All segments in the directory, oldest first; empty when there is none."""
    try:
        found = sorted(os.listdir(directory))  # noqa: PTH208 - names, not paths
    except OSError:
        return []
    parsed = map(SegmentName.parse, found)
    return [name for name in parsed if name is not None]


def sizes(directory: Path) -> "list[tuple[SegmentName, int]]":
    """All segments, oldest first, each with its length; listed first, then measured."""
    measured = ((name, _size(directory / name.text)) for name in names(directory))
    return [(name, size) for name, size in measured if size is not None]


def _size(path: Path) -> "int | None":
    try:
        return path.stat().st_size
    except OSError:  # deleted meanwhile
        return None


def whole_frames(data: bytes) -> "Iterator[Frame]":
    """Frames up to the first that is cut or damaged; never past it by guess.

    Its owner may still be writing it: try again later.
    """
    at = 0
    while at < len(data):
        try:
            frame = decode(data, at)
        except BadFrame:
            return
        at += frame.size_bytes
        yield frame


def sweep(directory: Path) -> None:
    """Remove newborn files whose maker died before it named them."""
    try:
        leftovers = list(directory.glob(f"*.seg{_NEWBORN}"))
    except OSError:
        return
    for path in leftovers:
        # Age first: to ask for the lock is to hold it, and its maker's turn is now.
        if not _is_young(path) and is_orphan(path):
            path.unlink(missing_ok=True)


def _is_young(path: Path) -> bool:
    import time

    try:
        return abs(time.time() - path.stat().st_mtime) < 60  # noqa: PLR2004 - seconds
    except OSError:
        return True


def is_orphan(path: Path) -> bool:
    """Whether the owner of a segment is gone: its lock is free, or the file is.

    Threads:
        Any process's leader; the owner itself gets False while it holds the segment.
    """
    flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        return lock_descriptor(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: Path, offset: int) -> bytes:
    """All of a segment from *offset* on.

    Raises:
        OSError: It cannot be read.

    """
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        file.seek(offset)
        return file.read()


def read_frames(path: Path, offset: int = 0) -> "Iterator[tuple[int, Frame]]":
    """Frames of a segment from *offset* on, each with its end.

    Yields:
        (offset of the frame's end, frame). Ends quietly at the end of the file.

    Raises:
        BadFrame: What follows is cut or damaged; all before it was yielded.
        OSError: The file cannot be read.

    """
    data = read_bytes(path, offset)
    at = 0
    while at < len(data):
        frame = decode(data, at)
        at += frame.size_bytes
        yield offset + at, frame


__all__ = [
    "BadFrame",
    "OpenSegment",
    "SegmentName",
    "create",
    "is_orphan",
    "names",
    "read_bytes",
    "read_frames",
    "sizes",
    "sweep",
    "whole_frames",
]
