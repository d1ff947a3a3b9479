"""Who leads: the lock, the heartbeat, and whether they agree."""

import os
from collections.abc import Iterator
from pathlib import Path

from probekit.buffer.status import BufferStatus
from probekit.cli import paint
from probekit.cli.checks.finding import Finding, fail, ok, warn

_SILENT_S = 30.0


def check_leader(path: Path, status: BufferStatus) -> "Iterator[Finding]":
    """Compare the lock's holder with the heartbeat in the buffer."""
    held = is_locked(Path(f"{path}.leader"))
    pid, age_s = status.leader_pid, status.leader_beat_age_s
    silent = age_s is None or age_s > _SILENT_S
    seen = f"process {pid}, last seen {paint.age(age_s)} ago"
    if held is None:
        yield ok("leader", "nobody has led this buffer yet")
    elif not held:
        yield from _vacant(status)
    elif silent and not is_alive(pid):
        yield fail(
            "leader",
            f"the lock is held although {seen} is gone: a forked child of it keeps the "
            f"lock open. Nothing is delivered until it ends{_holder(path)}",
        )
    elif silent:
        yield warn("leader", f"the lock is held, but {seen}: it hangs or just began")
    else:
        yield ok("leader", seen)
    if is_locked(Path(f"{path}.write")):
        yield ok("write lock", "held at this moment: somebody writes")


def _vacant(status: BufferStatus) -> "Iterator[Finding]":
    waiting = sum(account.stored for account in status.accounts.values())
    if waiting and status.exporters:
        yield warn(
            "leader",
            f"nobody leads and {waiting:,} records wait; the next process of the "
            "application delivers them, or probekit ship",
        )
    else:
        yield ok("leader", "nobody leads; the next process of the application will")


def is_locked(path: Path) -> "bool | None":
    """Whether somebody holds the lock file; None when there is none.

    A shared lock is tried and given back at once; who stands for office in that
    moment asks again a fifth of a second later.
    """
    try:
        import fcntl
    except ImportError:  # Windows: nothing can be said without taking it
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_alive(pid: int) -> bool:
    """Whether a process with this id is there, ours or not."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _holder(path: Path, locks: Path = Path("/proc/locks")) -> str:
    """The processes that Linux names as holders of the lock, for the last words."""
    try:
        inode = Path(f"{path}.leader").stat().st_ino
        lines = locks.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ""
    fields = [line.split() for line in lines if "FLOCK" in line and "->" not in line]
    pids = [each[4] for each in fields if each[5].endswith(f":{inode}")]
    return f" (the kernel names process {', '.join(pids)})" if pids else ""
