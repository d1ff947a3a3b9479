"""Exclusive locks between processes, on files that are never removed.

``flock`` and not POSIX locks: the kernel frees it when the process dies, it excludes
inside one process too, and closing another descriptor of the file does not drop it.
A forked child inherits the descriptor and with it the lock: it must
:meth:`FileLock.abandon` it, for unlocking would free the parent's.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from probekit.descriptor import Held

_POLL_S = 0.005


class FileLock:
    """An exclusive lock on a path; one holder at a time on this machine.

    Attributes:
        path: The lock file; made 0600 at the first try, never removed.
    """

    __slots__ = ("_descriptor", "_held", "_identity", "path")

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is opened yet."""
        self.path = path
        self._descriptor: int | None = None
        self._identity: Held | None = None
        self._held = False

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._held

    def try_acquire(self) -> bool:
        """Take the lock if nobody holds it.

        Returns:
            True when it is ours now, also when it was before.

        Raises:
            OSError: The file cannot be opened, or is a symlink.

        Threads:
            One at a time; never waits.

        """
        if self._held:
            return True
        try:
            return self._try()
        except BaseException:  # what a handler cuts must not stay locked unknown
            self._close()
            raise

    def _try(self) -> bool:
        if self._descriptor is not None and not self._same_file():
            self._close()  # replaced under us: a lock on the old file excludes nobody
        if self._descriptor is None:
            self._descriptor = open_private(self.path, os.O_RDWR | os.O_CREAT)
            self._identity = Held.of(self._descriptor)
        self._held = lock_descriptor(self._descriptor)
        if self._held and not self._same_file():
            self._close()
        return self._held

    def acquire(
        self,
        timeout_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> bool:
        """Take the lock, waiting for it at most *timeout_s* seconds.

        Returns:
            True when it is ours now; False when the time ran out.

        Raises:
            OSError: The file cannot be opened, or is a symlink.

        """
        end_s = time.monotonic() + timeout_s
        while not self.try_acquire():
            if time.monotonic() >= end_s:
                return False
            sleep(_POLL_S)
        return True

    def release(self) -> None:
        """Let others have the lock; the descriptor stays open for the next time."""
        if self._held and self._identity is not None and self._identity.is_ours():
            unlock_descriptor(self._identity.number)
        self._held = False

    def close(self) -> None:
        """Release the lock and close the file."""
        self.release()
        self._close()

    def abandon(self) -> None:
        """In a forked child: close the descriptor and leave the parent's lock alone."""
        self._close()

    def still_ours(self) -> bool:
        """Whether the lock is held and its file is still the one at the path.

        A lock file that was removed or replaced excludes nobody any more: who leads
        must stop leading when this turns False.
        """
        return self._held and self._same_file()

    def _same_file(self) -> bool:
        if self._descriptor is None:
            return False
        try:
            ours, there = os.fstat(self._descriptor), self.path.lstat()
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def _close(self) -> None:
        identity, self._identity = self._identity, None
        self._descriptor, self._held = None, False
        if identity is not None:
            try:
                identity.close()  # the host may have closed it and used the number
            except OSError:
                return


def open_private(path: Path, flags: int) -> int:
    """Open *path* for our eyes only: 0600, no symlink followed, not inherited by exec.

    The mode is right under any umask, and the umask is not touched.

    Raises:
        OSError: As ``os.open``.

    """
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    if flags & os.O_CREAT and os.name == "posix":
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, 0o600)
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor


def make_private_directory(path: Path) -> None:
    """Make *path* and what is missing above it, 0700 under any umask.

    Directories that exist stay as they are.

    Raises:
        OSError: It cannot be made, or is there and no directory, or is a symlink.

    """
    if path.is_symlink():
        raise NotADirectoryError(f"{path} is a symbolic link; it is not followed")
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_private_directory(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    path.chmod(0o700)


def refuse_foreign(path: Path) -> None:
    """Refuse what another user has put in our place, to read along or to mislead.

    We make nothing that others may write, so what is theirs was planted. The superuser
    may work on anybody's buffer.

    Raises:
        OSError: *path* belongs to another user, or cannot be looked at.

    """
    me = getattr(os, "geteuid", lambda: 0)()
    owner = path.stat().st_uid
    if me not in {0, owner}:
        raise PermissionError(
            f"{path} belongs to user {owner} and not to us ({me}); it is left alone"
        )


def lock_descriptor(descriptor: int) -> bool:
    """Lock an open file without waiting; False when somebody else has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _lock_windows(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock_descriptor(descriptor: int) -> None:
    """Unlock an open file; never in a forked child."""
    try:
        import fcntl
    except ImportError:  # Windows
        _unlock_windows(descriptor)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:  # the descriptor was closed by the host, and the lock with it
        return


def _lock_windows(descriptor: int) -> bool:
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True


def _unlock_windows(descriptor: int) -> None:
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    except OSError:
        return
