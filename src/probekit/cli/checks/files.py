"""The buffer's files: kind, owner, modes, place, leftovers."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from probekit.buffer.places import aside, unsuitable_filesystem
from probekit.cli import paint
from probekit.cli.checks.finding import Finding, fail, ok, warn

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
_LEAST_FREE_BYTES = 64 << 20
_LEAST_FREE_RATIO = 0.05


def check_files(path: Path) -> "Iterator[Finding]":
    """Everything that can be said without opening the file."""
    if path.is_symlink():
        yield fail("buffer file", f"{path} is a symbolic link; applications refuse it")
        return
    if not path.is_file():
        yield fail("buffer file", f"{path} is no regular file")
        return
    yield ok("buffer file", f"{path}, {paint.size(path.stat().st_size)}")
    yield from _modes(path)
    yield from _place(path)
    yield from _segments(Path(f"{path}.journal"))
    kept = aside(path)
    if kept:
        yield warn(
            "set aside",
            f"{len(kept)} damaged files, the newest {kept[-1].name}; "
            "remove them when nobody needs them",
        )


def _modes(path: Path) -> "Iterator[Finding]":
    if os.name != "posix":
        return
    journal = Path(f"{path}.journal")
    family = [path, *sorted(path.parent.glob(f"{path.name}[-.]*"))]
    family += sorted(journal.glob("*")) if journal.is_dir() else []
    wide = [each for each in (path.parent, *family) if _is_too_open(each)]
    foreign = [each for each in family if each.lstat().st_uid != os.geteuid()]
    if wide:
        names = ", ".join(f"{each.name} {_mode(each):04o}" for each in wide[:5])
        yield warn("modes", f"others may look into {names}; want 0600 in 0700")
    else:
        yield ok("modes", f"files 0600 in a folder 0700 ({len(family)} files)")
    if foreign:
        yield fail(
            "owner",
            f"{foreign[0].name} belongs to user {foreign[0].lstat().st_uid}, "
            f"we are user {os.geteuid()}",
        )


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _is_too_open(path: Path) -> bool:
    try:
        allowed = _FOLDER_MODE if path.is_dir() else _FILE_MODE
        return bool(_mode(path) & ~allowed)
    except FileNotFoundError:  # a segment that was folded meanwhile
        return False


def _place(path: Path) -> "Iterator[Finding]":
    reason = unsuitable_filesystem(path)
    if reason:
        yield fail("file system", f"{path.parent} lies on {reason}; choose a local one")
        return
    usage = shutil.disk_usage(path.parent)
    free = f"{paint.size(usage.free)} of {paint.size(usage.total)} free"
    if usage.free < max(_LEAST_FREE_BYTES, usage.total * _LEAST_FREE_RATIO):
        yield warn("file system", f"nearly full: {free}")
    else:
        yield ok("file system", f"local, {free}")


def _segments(journal: Path) -> "Iterator[Finding]":
    if not journal.is_dir():
        yield ok("segments", "none: no process has recorded since the last fold")
        return
    sizes = [_size_bytes(each) for each in journal.glob("*.seg")]
    yield ok("segments", f"{len(sizes)}, {paint.size(sum(sizes))}")


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # folded while we looked
        return 0
