"""The host's disks, and the file systems on them.

Never asks a file system that lives across a network: statvfs on a hung server would
hold our thread for ever.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from probekit.clock import Clock
from probekit.observer import Observer

_MOUNTS_REFRESH_S = 60.0

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


def disks(observer: Observer) -> None:
    """Say bytes, operations and times of each whole disk, by direction."""
    import psutil

    whole = whole_disks()
    for device, now in psutil.disk_io_counters(perdisk=True).items():
        if whole is not None and device not in whole:
            continue
        for direction in ("read", "write"):
            by_way = {"system.device": device, "disk.io.direction": direction}
            size = getattr(now, f"{direction}_bytes")
            count = getattr(now, f"{direction}_count")
            taken_s = getattr(now, f"{direction}_time") / 1e3
            observer.total("system.disk.io", size, by_way, unit="By")
            observer.total("system.disk.operations", count, by_way, unit="{operation}")
            observer.total("system.disk.operation_time", taken_s, by_way, unit="s")
        busy_ms = getattr(now, "busy_time", None)
        if busy_ms is not None:
            one = {"system.device": device}
            observer.total("system.disk.io_time", busy_ms / 1e3, one, unit="s")


def whole_disks(block: Path = Path("/sys/block")) -> "frozenset[str] | None":
    """Names of disks that are no partitions and hold data; None when unknown.

    A partition's figures are in its disk's.
    """
    try:
        names = [disk.name for disk in block.iterdir()]
    except OSError:
        return None
    return frozenset(name for name in names if not name.startswith(_NO_DISKS))


class Filesystems:
    """Space on each local file system, by state."""

    __slots__ = ("_clock", "_mounts", "_stale_at_s")

    def __init__(self, clock: Clock) -> None:
        """Read the mount table at the first reading, and each minute."""
        self._clock = clock
        self._mounts: list[Mount] = []
        self._stale_at_s = float("-inf")

    def __call__(self, observer: Observer) -> None:
        """Say usage, limit and share of each one that answers."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._stale_at_s:
            import psutil

            self._stale_at_s = now_s + _MOUNTS_REFRESH_S
            self._mounts = local_mounts(psutil.disk_partitions(all=True))
        told = [_say_space(observer, mount) for mount in self._mounts]
        if not all(told):
            self._stale_at_s = float("-inf")


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


def _say_space(observer: Observer, mount: Mount) -> bool:
    import psutil

    try:
        space = psutil.disk_usage(mount.mountpoint)
    except OSError:  # unmounted since, or not for our eyes
        return False
    whole = {
        "system.device": mount.device,
        "system.filesystem.mountpoint": mount.mountpoint,
        "system.filesystem.type": mount.fstype,
        "system.filesystem.mode": "ro" if "ro" in mount.opts.split(",") else "rw",
    }
    observer.level("system.filesystem.limit", space.total, whole, unit="By")
    reserved = max(0, space.total - space.used - space.free)  # kept for root
    states = {"used": space.used, "free": space.free, "reserved": reserved}
    for state, size in states.items():
        part = {**whole, "system.filesystem.state": state}
        observer.level("system.filesystem.usage", size, part, unit="By")
        if space.total:
            share = size / space.total
            observer.gauge("system.filesystem.utilization", share, part, unit="1")
    return True
