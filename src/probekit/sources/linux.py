"""What Linux says of the host, read from ``/proc``; far cheaper than psutil.

The figures and their meaning are psutil's, which tells them elsewhere and where a file
looks otherwise than expected (``portable``). Only the fields that are told are parsed.
"""

import os
import re
import time
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

from probekit.sources.kept import KeptFile, number
from probekit.sources.portable import Disk, Interface, Memory, PagingActivity

_SECTOR_BYTES = 512  # of diskstats, whatever the disk's own are
_CPUS = "/sys/devices/system/cpu"


class LinuxHost:
    """A host's figures; each method reads one file.

    Every method raises ``OSError`` where the file cannot be read, and ``ValueError``
    or ``IndexError`` where it is not what it was.

    Threads:
        One at a time.

    """

    __slots__ = ("_disks", "_idle", "_memory", "_network", "_stat", "_vm")

    def __init__(self, root: str = "/proc") -> None:
        """Open nothing yet; tests have another *root*."""
        self._stat = KeptFile(f"{root}/stat")
        self._memory = KeptFile(f"{root}/meminfo")
        self._vm = KeptFile(f"{root}/vmstat")
        self._disks = KeptFile(f"{root}/diskstats")
        self._network = KeptFile(f"{root}/net/dev")
        self._idle: dict[str, Interface] = {}  # the lines of the last reading

    def cpu_seconds(self) -> "dict[str, float]":
        """Seconds of all processors since the start, by mode."""
        text = self._stat.read()
        ticks = text[: text.index(b"\n")].split()
        if ticks[0] != b"cpu":
            raise ValueError(f"/proc/stat begins with {ticks[0]!r}")
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, ticks[1:9])
        return {
            "user": user / _TICKS_HZ,
            "system": system / _TICKS_HZ,
            "idle": idle / _TICKS_HZ,
            "iowait": iowait / _TICKS_HZ,
            "nice": nice / _TICKS_HZ,
            "interrupt": (irq + softirq) / _TICKS_HZ,
            "steal": steal / _TICKS_HZ,
        }

    def memory(self) -> Memory:
        """Memory and swap, in bytes."""
        text = b"\n" + self._memory.read()

        def size(name: bytes) -> int:
            return number(text, b"\n" + name, b" kB\n") << 10

        total, free, available = (
            size(b"MemTotal:"),
            size(b"MemFree:"),
            size(b"MemAvailable:"),
        )
        return Memory(
            total,
            free,
            size(b"Cached:") + size(b"SReclaimable:"),
            size(b"Buffers:"),
            # Inside some containers it is the host's: as psutil does.
            free if available > total else available,
            size(b"SwapTotal:"),
            size(b"SwapFree:"),
        )

    def paging(self) -> PagingActivity:
        """Page faults and swapped pages since the start."""
        text = b"\n" + self._vm.read()
        return PagingActivity(
            number(text, b"\npgfault "),
            number(text, b"\npgmajfault "),
            number(text, b"\npswpin "),
            number(text, b"\npswpout "),
        )

    def disks(self, whole: "AbstractSet[str] | None") -> "list[Disk]":
        """Figures of the devices in *whole* since the start; of all when None."""
        found = []
        for line in _text(self._disks).splitlines():
            _, _, name, numbers = line.split(None, 3)
            if whole is None or name in whole:
                found.append(_disk(name, numbers.split()))
        return found

    def interfaces(self) -> "list[Interface]":
        """Every network interface's figures since the start."""
        found = []
        before, self._idle = self._idle, {}
        for line in _text(self._network).splitlines()[2:]:  # two lines of headings
            row = before.get(line)  # many hosts have interfaces that nobody uses
            if row is None:
                name, _, rest = line.rpartition(":")
                numbers = rest.split(None, 12)
                row = name.strip(), tuple(map(int, numbers[:4] + numbers[8:12]))
            self._idle[line] = row
            found.append(row)
        return found

    def uptime_s(self) -> float:
        """Seconds since the host started, suspended ones included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def cpu_counts(self) -> "tuple[int | None, int | None]":
        """Logical and physical processors; None when unknown. Walks through sysfs."""
        cores = set()
        for siblings in Path(_CPUS).glob("cpu[0-9]*/topology/thread_siblings_list"):
            cores.add(siblings.read_bytes())
        return os.sysconf("SC_NPROCESSORS_ONLN"), len(cores) or None


class MountPoint(NamedTuple):
    """A row of the mount table."""

    device: str
    mountpoint: str
    fstype: str
    opts: str


def mounts(table: str = "/proc/self/mounts") -> "list[MountPoint]":
    """Read all mounts of this process's view.

    Raises:
        OSError: There is no such table.

    """
    lines = os.fsdecode(Path(table).read_bytes()).splitlines()
    return [MountPoint(*map(_plain, line.split(" ")[:4])) for line in lines]


def _plain(text: str) -> str:
    """Undo the kernel's way of writing blanks: an octal number."""
    if "\\" not in text:
        return text
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


_TICKS_HZ = os.sysconf("SC_CLK_TCK")


def _text(file: KeptFile) -> str:
    return str(file.read(), "utf-8", "surrogateescape")


def _disk(name: str, numbers: "list[str]") -> Disk:
    reads, _, read, read_ms, writes, _, written, write_ms, _, busy_ms = map(
        int, numbers[:10]
    )
    return (
        name,
        (read * _SECTOR_BYTES, reads, read_ms / 1e3),
        (written * _SECTOR_BYTES, writes, write_ms / 1e3),
        busy_ms / 1e3,
    )
