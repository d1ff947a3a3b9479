"""JSON lines in a file of one's own, rotated by size.

Written with one system call a batch and taken back when only a part could be written,
so that a full disk leaves no half line. Files are readable by their owner only.
"""

import os
import stat
from pathlib import Path

from probekit.errors import ConfigError, RetryLater
from probekit.exporters.jsonlines import JsonLines
from probekit.exporters.transport.descriptor import Identity, identity
from probekit.exporters.urls import Target
from probekit.model import Batch
from probekit.ports import DeliveryContract

LIMIT_BYTES = 64 << 20
BACKUPS = 5


class File:
    """Appends JSON lines; ``path.1`` is the newest of the rotated files.

    Args:
        path: Made absolute now; its folder is made at the first send, 0700.
        limit_bytes: A file that would grow longer is rotated first; 0 for never.
        backups: Rotated files kept; 0 keeps none.
        fsync: Whether a send returns only when the disk has the lines. Without it
            they survive the death of the process, not of the machine.
    """

    contract = DeliveryContract()

    def __init__(
        self,
        path: "str | os.PathLike[str]",
        *,
        limit_bytes: int = LIMIT_BYTES,
        backups: int = BACKUPS,
        fsync: bool = False,
    ) -> None:
        """Open nothing yet.

        Raises:
            ConfigError: The path is empty or a folder.

        """
        if not os.fspath(path) or "\0" in os.fspath(path):
            raise ConfigError("exporters: file: needs a path, file:///var/log/x.jsonl")
        self._path = Path(path).expanduser().absolute()
        if self._path.is_dir():
            raise ConfigError(f"exporters: file: {str(self._path)!r} is a folder")
        self._limit_bytes = limit_bytes
        self._backups = backups
        self._fsync = fsync
        self._encoding = JsonLines()
        self._descriptor = -1
        self._identity: Identity | None = None

    def __repr__(self) -> str:
        """The class and the path."""
        return f"File({str(self._path)!r})"

    def send(self, batch: Batch) -> None:
        """Append the batch.

        Raises:
            RetryLater: The file cannot be written now; nothing of the batch is in it.

        """
        payload = self._encoding.document(batch)
        try:
            self._prepare(len(payload))
            self._append(payload)
        except OSError as error:
            self.close()
            raise RetryLater(f"{self._path}: {error.strerror}") from None

    def _prepare(self, size_bytes: int) -> None:
        """Have the file open that the path names now, with room for *size_bytes*."""
        if self._descriptor >= 0 and not self._is_current():
            self.close()
        if self._descriptor < 0:
            self._open()
        held = os.fstat(self._descriptor).st_size
        if self._limit_bytes and held and held + size_bytes > self._limit_bytes:
            self.close()
            self._rotate()
            self._open()

    def _is_current(self) -> bool:
        """Whether path and descriptor still mean the file that we opened.

        Programs move or replace it (logrotate does), and hosts that daemonize close
        our descriptor and reuse its number.
        """
        try:
            named = self._path.lstat()
        except FileNotFoundError:
            return False
        return (
            (named.st_dev, named.st_ino)
            == self._identity
            == (identity(self._descriptor))
        )

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        self._descriptor = os.open(self._path, flags, 0o600)
        self._identity = identity(self._descriptor)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            self.close()
            raise OSError(0, "not a regular file")
        size = os.fstat(self._descriptor).st_size
        if size and _byte_at(self._descriptor, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")  # what stands there stays a line alone

    def _append(self, payload: bytes) -> None:
        start = os.fstat(self._descriptor).st_size
        rest = memoryview(payload)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            if self._fsync:
                os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise

    def _rotate(self) -> None:
        names = [self._path, *map(self._backup, range(1, self._backups + 1))]
        for older, newer in zip(names[::-1], names[-2::-1], strict=False):
            if newer.exists():
                newer.replace(older)
        if not self._backups:
            self._path.unlink()

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def close(self) -> None:
        """Close the file."""
        held, self._descriptor = self._descriptor, -1
        if held >= 0 and identity(held) == self._identity:
            os.close(held)


def from_target(target: Target) -> File:
    """Build from ``file:///path``, ``file:relative/path``."""
    options = target.options()
    limit_bytes = options.integer("max_bytes", LIMIT_BYTES, low=0, high=1 << 50)
    backups = options.integer("backups", BACKUPS, low=0, high=1000)
    fsync = options.flag("fsync", default=False)
    options.finish()
    if target.hosts:
        raise ConfigError(
            f"exporters: {target} names a host; a file has three slashes: file:///path",
        )
    return File(target.path, limit_bytes=limit_bytes, backups=backups, fsync=fsync)


def _byte_at(descriptor: int, position: int) -> bytes:
    os.lseek(descriptor, position, os.SEEK_SET)
    return os.read(descriptor, 1)
