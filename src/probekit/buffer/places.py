"""Where a buffer may lie: files made private, damaged ones set aside."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from probekit.buffer.locks import make_private_directory, open_private, refuse_foreign

_KEPT_ASIDE = 3
_ASIDE_BYTES = 16 << 20  # of each, once what could be read of it is salvaged
_ESCAPE = re.compile(r"\\([0-7]{3})")  # how /proc writes blanks in names
_BESIDE = ("-wal", "-shm", ".copy", ".model")  # what is not a file set aside itself
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "ceph", "lustre"}
    | {"9p", "beegfs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "ncpfs", "ocfs2"}
    | {f"fuse.{name}" for name in ("ceph", "davfs2", "gcsfuse", "glusterfs", "rclone")}
    | {f"fuse.{name}" for name in ("s3fs", "smbnetfs", "sshfs", "vmhgfs-fuse")},
)


def create_file(path: Path) -> None:
    """Make an empty private file unless there is one; its siblings take its mode.

    Raises:
        OSError: It cannot be made, is a symlink or no regular file, or another user's.

    """
    make_private_directory(path.parent)
    if path.is_symlink():
        raise OSError(f"{path} is a symbolic link; it is not followed")
    try:
        os.close(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        if not path.is_file():
            raise OSError(f"{path} is no regular file") from None
        refuse_foreign(path)


def set_aside(path: Path) -> Path:
    """Rename a damaged file with its log; keep the newest three of such.

    Raises:
        OSError: It cannot be renamed.

    """
    stamp = time.strftime("%Y%m%dT%H%M%S")
    kept = path.with_name(f"{path.name}.corrupt-{stamp}-{time.time_ns() % 10**9:09d}")
    path.rename(kept)
    with suppress(FileNotFoundError):  # the newest rows are in the log
        Path(f"{path}-wal").rename(f"{kept}-wal")
    Path(f"{path}-shm").unlink(missing_ok=True)
    for surplus in aside(path)[:-_KEPT_ASIDE]:
        surplus.unlink(missing_ok=True)
        drop_log(surplus)
    return kept


def aside(path: Path) -> "list[Path]":
    """Damaged files that were set aside, oldest first."""
    found = sorted(path.parent.glob(f"{path.name}.corrupt-*"))
    return [each for each in found if not each.name.endswith(_BESIDE)]


def drop_log(kept: Path) -> None:
    """Remove the log of a file that was set aside: nobody needs it any more."""
    for suffix in ("-wal", "-shm"):
        Path(f"{kept}{suffix}").unlink(missing_ok=True)


def cut_aside(kept: Path) -> None:
    """Let a file that was set aside take no more room than evidence may.

    Raises:
        OSError: It cannot be cut, or is a link.

    """
    flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(kept, flags)
    try:
        if os.fstat(descriptor).st_size > _ASIDE_BYTES:
            os.ftruncate(descriptor, _ASIDE_BYTES)
    finally:
        os.close(descriptor)


def unsuitable_filesystem(path: Path, mounts: str = "/proc/self/mounts") -> str:
    """The type of a network file system below *path*, empty for a local one.

    SQLite's log needs shared memory and locks that hold; networks promise neither.
    """
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    path = path.parent.resolve() / path.name  # what a link leads to
    best, kind = "", ""
    for line in lines:
        _, mount, found, *_ = [*line.split(" "), "", "", ""]
        folder = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), mount)
        folder = folder.rstrip("/") + "/"
        if f"{path}/".startswith(folder) and len(folder) >= len(best):
            best, kind = folder, found
    return f"a network file system ({kind})" if kind in _NETWORK else ""
