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

from probekit.sources.kept import KeptFile, Lines
from probekit.sources.portable import Disk, Interface, Memory, PagingActivity

_SECTOR_BYTES = 512  # of diskstats, whatever the disk's own are
_CPUS = "/sys/devices/system/cpu"
_STAT_BYTES = 256  # its first line, of all processors: ten numbers of twenty digits
# Up to so many disks are read one by one: the file of all tells of each partition and
# loop too.
_FEW_DISKS = 2
_MEMORY_KEYS = (
    b"\nMemTotal:",
    b"\nMemFree:",
    b"\nMemAvailable:",
    b"\nBuffers:",
    b"\nCached:",
    b"\nSwapTotal:",
    b"\nSwapFree:",
    b"\nSReclaimable:",
)
_PAGING_KEYS = (b"\npswpin ", b"\npswpout ", b"\npgfault ", b"\npgmajfault ")
# How much longer the lines before may become from one reading to the next.
_PAGING_SLACK_BYTES = 64


class LinuxHost:
    """A host's figures; each method reads one file.

    Every method raises ``OSError`` where the file cannot be read, and ``ValueError``
    or ``IndexError`` where it is not what it was.

    Threads:
        One at a time.

    """

    __slots__ = (
        "_block",
        "_disk",
        "_disks",
        "_idle",
        "_memory",
        "_memory_lines",
        "_network",
        "_stat",
        "_vm",
        "_vm_bytes",
        "_vm_lines",
    )

    def __init__(self, root: str = "/proc", block: str = "/sys/block") -> None:
        """Open nothing yet; tests have another *root* and *block*."""
        self._stat = KeptFile(f"{root}/stat")
        self._memory = KeptFile(f"{root}/meminfo")
        self._memory_lines = Lines(*_MEMORY_KEYS, end=b" kB\n")
        self._vm = KeptFile(f"{root}/vmstat")
        self._vm_lines = Lines(*_PAGING_KEYS)
        self._vm_bytes: int | None = None
        self._disks = KeptFile(f"{root}/diskstats")
        self._block = block
        self._disk: dict[str, KeptFile] = {}
        self._network = KeptFile(f"{root}/net/dev")
        self._idle: dict[bytes, Interface] = {}  # the lines of the last reading

    def cpu_seconds(self) -> "dict[str, float]":
        """Seconds of all processors since the start, by mode."""
        (name, user, nice, system, idle, iowait, interrupt, soft, steal, _) = (
            self._stat.read(_STAT_BYTES).split(None, 9)
        )
        if name != b"cpu":
            raise ValueError(f"/proc/stat begins with {name!r}")
        return {
            "user": int(user) / _TICKS_HZ,
            "nice": int(nice) / _TICKS_HZ,
            "system": int(system) / _TICKS_HZ,
            "idle": int(idle) / _TICKS_HZ,
            "iowait": int(iowait) / _TICKS_HZ,
            "interrupt": (int(interrupt) + int(soft)) / _TICKS_HZ,
            "steal": int(steal) / _TICKS_HZ,
        }

    def memory(self) -> Memory:
        """Memory and swap, in bytes."""
        total, free, available, buffers, cached, swap_total, swap_free, reclaimable = [
            size << 10
            for size in self._memory_lines.numbers(b"\n" + self._memory.read())
        ]
        return Memory(
            total,
            free,
            cached + reclaimable,
            buffers,
            # Inside some containers it is the host's: as psutil does.
            free if available > total else available,
            swap_total,
            swap_free,
        )

    def paging(self) -> PagingActivity:
        """Page faults and swapped pages since the start.

        The kernel makes up the rest of this long file only if it is read that far.
        """
        lines, numbers = self._vm_lines, None
        if self._vm_bytes is not None:
            try:
                numbers = lines.numbers(b"\n" + self._vm.read(self._vm_bytes))
            except ValueError:  # the lines before have become longer
                self._vm_bytes = None
        if numbers is None:
            text = b"\n" + self._vm.read()
            numbers = lines.numbers(text)
            self._vm_bytes = lines.end_bytes + _PAGING_SLACK_BYTES
        swapped_in, swapped_out, faults, major_faults = numbers
        return PagingActivity(faults, major_faults, swapped_in, swapped_out)

    def disks(self, whole: "AbstractSet[str] | None") -> "list[Disk]":
        """Figures of the devices in *whole* since the start; of all when None."""
        if whole is not None and len(whole) <= _FEW_DISKS:
            try:
                return [(name, self._one_disk(name)) for name in whole]
            except OSError:  # it has gone, or there is no such file in a container
                self._disk.clear()
        found: list[Disk] = []
        for line in self._disks.read().splitlines():
            _, _, device, numbers = line.split(None, 3)
            name = os.fsdecode(device)
            if whole is None or name in whole:
                found.append((name, _moved(numbers)))
        return found

    def _one_disk(self, name: str) -> "tuple[float, ...]":
        file = self._disk.get(name)
        if file is None:
            path = f"{self._block}/{name.replace('/', '!')}/stat"
            file = self._disk[name] = KeptFile(path)
        return _moved(file.read())

    def interfaces(self) -> "list[Interface]":
        """Every network interface's figures since the start."""
        found = []
        before, now = self._idle, {}
        # Two lines of headings before, and nothing behind the last line end.
        for line in self._network.read().split(b"\n")[2:-1]:
            row = before.get(line)  # many hosts have interfaces that nobody uses
            if row is None:
                row = _traffic(line)
            now[line] = row
            found.append(row)
        self._idle = now
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


def _traffic(line: bytes) -> Interface:
    name, _, numbers = line.rpartition(b":")
    got, packets, errors, drops, _, _, _, _, sent, sendings, failures, lost, _ = (
        numbers.split(None, 12)
    )
    return (
        os.fsdecode(name.strip()),
        (
            *(int(got), int(packets), int(errors), int(drops)),
            *(int(sent), int(sendings), int(failures), int(lost)),
        ),
    )


_TICKS_HZ = os.sysconf("SC_CLK_TCK")


def _moved(numbers: bytes) -> "tuple[float, ...]":
    (reads, _, read, read_ms, writes, _, written, write_ms, _, busy_ms, *_) = (
        numbers.split(None, 10)
    )
    return (
        int(read) * _SECTOR_BYTES,
        int(reads),
        int(read_ms) / 1e3,
        int(written) * _SECTOR_BYTES,
        int(writes),
        int(write_ms) / 1e3,
        int(busy_ms) / 1e3,
    )
