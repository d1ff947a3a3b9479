"""The host's disks, and the file systems on them.

Never asks a file system that lives across a network: statvfs on a hung server would
hold our thread for ever.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from probekit.clock import Clock
from probekit.observer import Observer, Readings
from probekit.sources.either import either
from probekit.sources.portable import HostReader

_REFRESH_S = 60.0

# The types that hold data on this host's own disks. A list of what may be asked, not
# of what may not: an unknown type could be a network.
_LOCAL_TYPES = frozenset(
    {
        *("apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfs"),
        *("hfsplus", "jfs", "msdos", "ntfs", "ntfs3", "overlay", "refs", "reiserfs"),
        *("ufs", "vfat", "xfs", "zfs"),
    },
)

_NO_DISKS = ("loop", "ram", "zram")  # files and memory


class Mount(Protocol):
    """A row of the mount table, as psutil tells it."""

    @property
    def device(self) -> str:
        """What is mounted, ``/dev/sda1``."""

    @property
    def mountpoint(self) -> str:
        """Where it is mounted."""

    @property
    def fstype(self) -> str:
        """Its type, ``ext4``."""

    @property
    def opts(self) -> str:
        """Its options, separated by commas."""


class Disks:
    """Bytes, operations and times of each whole disk, by direction."""

    __slots__ = ("_clock", "_reader", "_said", "_stale_at_s", "_whole")

    def __init__(self, reader: HostReader, clock: Clock) -> None:
        """Look for disks at the first reading, and each minute."""
        self._reader = reader
        self._clock = clock
        self._said: dict[tuple[str, int], Readings] = {}
        self._whole: frozenset[str] | None = None
        self._stale_at_s = float("-inf")

    def __call__(self, observer: Observer) -> None:
        """Say them."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._stale_at_s:
            self._stale_at_s = now_s + _REFRESH_S
            self._whole = whole_disks()
        for device, totals in self._reader.disks(self._whole):
            key = device, len(totals)
            said = self._said.get(key)
            if said is None:
                said = self._said[key] = Readings(
                    "total", _disk_series(device)[: len(totals)]
                )
            observer.say(said, totals)


def _disk_series(device: str) -> "list[tuple[str, dict[str, str], str]]":
    series: list[tuple[str, dict[str, str], str]] = []
    for direction in ("read", "write"):
        by_way = {"system.device": device, "disk.io.direction": direction}
        series += (
            ("system.disk.io", by_way, "By"),
            ("system.disk.operations", by_way, "{operation}"),
            ("system.disk.operation_time", by_way, "s"),
        )
    return [*series, ("system.disk.io_time", {"system.device": device}, "s")]


def whole_disks(block: Path = Path("/sys/block")) -> "frozenset[str] | None":
    """Names of disks that are no partitions and hold data; None when unknown.

    A partition's figures are in its disk's.
    """
    try:  # a name may hold a slash, but not here
        names = [disk.name.replace("!", "/") for disk in block.iterdir()]
    except OSError:
        return None
    return frozenset(name for name in names if not name.startswith(_NO_DISKS))


class Filesystems:
    """Space on each local file system, by state."""

    __slots__ = ("_asked", "_clock", "_said", "_stale_at_s")

    def __init__(self, clock: Clock) -> None:
        """Read the mount table at the first reading, and each minute."""
        self._clock = clock
        self._asked: list[_Space] = []
        self._said: dict[tuple[str, str, str, str], _Space] = {}
        self._stale_at_s = float("-inf")

    def __call__(self, observer: Observer) -> None:
        """Say usage, limit and share of each one that answers."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._stale_at_s:
            self._stale_at_s = now_s + _REFRESH_S
            self._asked = [self._space(one) for one in local_mounts(mount_table())]
        for each in self._asked:
            try:
                total, free, available = space(each.mountpoint)
            except OSError:  # noqa: PERF203 - unmounted since, or not for our eyes
                self._stale_at_s = float("-inf")
            else:
                each.say(observer, total, free, available)

    def _space(self, mount: Mount) -> "_Space":
        mode = "ro" if "ro" in mount.opts.split(",") else "rw"
        place = (mount.device, mount.mountpoint, mount.fstype, mode)
        said = self._said.get(place)
        if said is None:
            said = self._said[place] = _Space(place)
        return said


class _Space:
    """The series of one file system."""

    __slots__ = ("_shares", "_sizes", "mountpoint")

    def __init__(self, place: "tuple[str, str, str, str]") -> None:
        self.mountpoint = place[1]
        names = ("device", "filesystem.mountpoint", "filesystem.type")
        keys = [f"system.{name}" for name in (*names, "filesystem.mode")]
        whole = dict(zip(keys, place, strict=True))
        # What is reserved is kept for root.
        states = ("used", "free", "reserved")
        parts = [{**whole, "system.filesystem.state": state} for state in states]
        name = "system.filesystem"
        sizes = [(f"{name}.usage", one, "By") for one in parts]
        self._sizes = Readings("level", [*sizes, (f"{name}.limit", whole, "By")])
        self._shares = Readings(
            "gauge", [(f"{name}.utilization", one, "1") for one in parts]
        )

    def say(self, observer: Observer, total: int, free: int, available: int) -> None:
        """Say its sizes in bytes, and their shares."""
        used, reserved = total - free, max(0, free - available)
        observer.say(self._sizes, (used, available, reserved, total))
        if total:
            shares = [used / total, available / total, reserved / total]
            observer.say(self._shares, shares)


def mount_table() -> "Sequence[Mount]":
    """Read all mounts: the kernel's own table where there is one."""
    return either(_kernel_mounts, _psutil_mounts)


def _kernel_mounts() -> "Sequence[Mount]":
    from probekit.sources.linux import mounts

    return mounts()


def _psutil_mounts() -> "Sequence[Mount]":
    import psutil

    return psutil.disk_partitions(all=True)


def space(path: str) -> "tuple[int, int, int]":
    """Bytes in all, not in use, and not in use that anybody may use.

    Raises:
        OSError: Nothing is there, or not for us.

    """
    if os.name == "nt":  # knows no reserve
        import shutil

        total, _, free = shutil.disk_usage(path)
        return total, free, free
    now = os.statvfs(path)
    block = now.f_frsize
    return now.f_blocks * block, now.f_bfree * block, now.f_bavail * block


def local_mounts(table: "Iterable[Mount]") -> "list[Mount]":
    """Choose what to ask: local types, one mount for each device, directories only.

    Containers mount single files and the same device at many places; the shortest
    path stands for all of them.
    """
    chosen: dict[str, Mount] = {}
    for mount in sorted(table, key=lambda mount: len(mount.mountpoint)):
        if mount.fstype.lower() in _LOCAL_TYPES and Path(mount.mountpoint).is_dir():
            chosen.setdefault(mount.device, mount)
    return list(chosen.values())
