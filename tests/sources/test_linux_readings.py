"""Laws of what is read from ``/proc``: psutil's figures, safe descriptors."""

import ast
import os
import resource
import subprocess
import sys
import threading

import psutil
import pytest

from probekit.observer import Observer
from probekit.sources.host import HostSource
from probekit.sources.kept import KeptFile
from probekit.sources.portable import PsutilHost
from probekit.sources.storage import mount_table, space

if not psutil.LINUX:
    pytest.skip("reads what only Linux has", allow_module_level=True)

from probekit.sources.linux import LinuxHost, mounts
from probekit.sources.linux_process import LinuxProcess

OURS, PEER = LinuxHost(), PsutilHost()
WIDE = 256 << 20  # what a busy machine takes or gives back between two readings


def between(read_peer, read_ours):
    """Ours, and psutil's just before and just after it: totals only grow."""
    before = read_peer()
    return before, read_ours(), read_peer()


def test_seconds_of_the_processors_are_psutils():
    before, ours, after = between(PEER.cpu_seconds, OURS.cpu_seconds)

    assert before.keys() == ours.keys()
    for mode, seconds in ours.items():
        if mode != "iowait":  # the kernel may take back some of that
            assert before[mode] <= seconds <= after[mode]


def test_processors_are_counted_as_psutil_counts_them():
    assert PEER.cpu_counts() == OURS.cpu_counts()


def test_memory_and_swap_are_psutils():
    ours, peer = OURS.memory(), PEER.memory()

    assert (peer.total, peer.swap_total) == (ours.total, ours.swap_total)
    for ours_now, peers_now in zip(ours, peer, strict=True):
        assert pytest.approx(peers_now, abs=WIDE) == ours_now


def totals_of(rows):
    """Name → all its numbers, flat."""
    flat = {}
    for name, *groups in rows:
        flat[name] = [
            number
            for group in groups
            for number in (group if isinstance(group, tuple) else (group,))
        ]
    return flat


@pytest.mark.parametrize("part", ["interfaces", "disks"])
def test_interfaces_and_disks_are_psutils(part):
    arguments = [None] if part == "disks" else []
    before, ours, after = (
        totals_of(rows)
        for rows in between(
            lambda: getattr(PEER, part)(*arguments),
            lambda: getattr(OURS, part)(*arguments),
        )
    )

    assert before.keys() == ours.keys()
    for name, numbers in ours.items():
        for low, now, high in zip(before[name], numbers, after[name], strict=True):
            assert low <= now <= high


def test_names_may_hold_colons_and_blanks_around_them(tmp_path):
    (tmp_path / "net").mkdir()
    idle = "wlan0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    table, host = tmp_path / "net" / "dev", LinuxHost(str(tmp_path))
    busy = " eth0:1:{} 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"
    table.write_text("a\nb\n" + busy.format(1) + idle)
    first = host.interfaces()
    table.write_text("a\nb\n" + busy.format(9) + idle)

    assert [("eth0:1", (1, 2, 3, 4, 5, 6, 7, 8)), ("wlan0", (0,) * 8)] == first
    assert [("eth0:1", (9, 2, 3, 4, 5, 6, 7, 8)), ("wlan0", (0,) * 8)] == (
        host.interfaces()
    )


def test_only_the_disks_that_are_asked_for_are_told():
    (some, *_) = (row[0] for row in OURS.disks(None))

    assert [some] == [row[0] for row in OURS.disks({some})]
    assert [some] == [row[0] for row in PEER.disks({some})]


def test_uptime_and_space_are_psutils():
    usage = psutil.disk_usage("/")
    total, free, available = space("/")

    assert pytest.approx(PEER.uptime_s(), abs=2.0) == OURS.uptime_s()
    assert usage.total == total
    assert pytest.approx(usage.used, abs=WIDE) == total - free
    assert pytest.approx(usage.free, abs=WIDE) == available


def test_mounts_are_psutils():
    def named(table):
        return {(one.device, one.mountpoint, one.fstype) for one in table}

    # psutil leaves out what has no device.
    assert named(psutil.disk_partitions(all=True)) <= named(mount_table())


def test_blanks_in_the_names_of_mounts_are_blanks(tmp_path):
    table = tmp_path / "mounts"
    table.write_text("/dev/sda1 /mnt/my\\040disk\\134x ext4 rw,noatime 0 0\n")

    assert [("/dev/sda1", "/mnt/my disk\\x", "ext4", "rw,noatime")] == mounts(
        str(table)
    )


def test_a_process_is_told_as_psutil_tells_it():
    code = """
import os
from probekit.clock import SYSTEM_CLOCK
from probekit.sources.linux_process import LinuxProcess
from probekit.sources.own_process import PsutilProcess
ours, peer = LinuxProcess(), PsutilProcess(SYSTEM_CLOCK)
for part in ("cpu_s", "memory_bytes", "thread_count", "disk_bytes",
             "faults", "switches", "uptime_s", "descriptor_count"):
    getattr(ours, part)(), getattr(peer, part)()  # opened, imported
    print(part, getattr(ours, part)(), getattr(peer, part)(), sep="|")
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    told = {}
    for line in answer.stdout.splitlines():
        part, *both = line.split("|")
        told[part] = [ast.literal_eval(one) for one in both]

    for part in ("thread_count", "descriptor_count", "disk_bytes"):
        ours, peer = told[part]

        assert peer == ours
    for part, drift in (
        ("cpu_s", 0.1),
        ("memory_bytes", 8 << 20),
        ("faults", 200),
        ("switches", 200),
        ("uptime_s", 0.5),
    ):
        ours, peer = told[part]

        assert pytest.approx(peer, abs=drift) == ours


def test_context_switches_are_those_of_all_threads():
    own = LinuxProcess()
    voluntary, involuntary = own.switches()
    used = resource.getrusage(resource.RUSAGE_SELF)

    assert 0 <= used.ru_nvcsw - voluntary < 1000
    assert 0 <= used.ru_nivcsw - involuntary < 1000


def test_what_linux_does_not_say_psutil_says(monkeypatch):
    def unreadable(self):
        raise PermissionError

    monkeypatch.setattr(KeptFile, "read", unreadable)
    observer, source = Observer(), HostSource()
    source(observer)
    names = {series.name for series in observer.harvest().series}

    assert {"faults": "PermissionError"} == source.skipped
    assert {
        *("system.cpu.time", "system.memory.limit", "system.network.io"),
        "system.uptime",
    } <= names


def test_a_file_is_read_from_its_beginning_each_time(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    kept = KeptFile(str(path))
    first = kept.read()
    path.write_bytes(b"two!")

    assert (b"one", b"two!") == (first, kept.read())


def test_a_long_file_is_read_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 1024)

    assert path.read_bytes() == KeptFile(str(path)).read()


def number_of(kept):
    return kept._held.number


def test_a_number_that_the_host_took_is_neither_read_nor_closed(tmp_path):
    (tmp_path / "ours").write_bytes(b"ours")
    (tmp_path / "hosts").write_bytes(b"hosts")
    kept = KeptFile(str(tmp_path / "ours"))
    kept.read()
    number = number_of(kept)
    os.close(number)
    taken = os.open(tmp_path / "hosts", os.O_RDONLY)
    os.dup2(taken, number)

    assert b"ours" == kept.read()
    assert number != number_of(kept)
    del kept
    assert b"hosts" == os.pread(number, 100, 0)
    os.close(number)
    if taken != number:
        os.close(taken)


def test_whoever_forgets_a_file_leaves_no_descriptor_open(tmp_path):
    (tmp_path / "ours").write_bytes(b"ours")
    kept = KeptFile(str(tmp_path / "ours"))
    kept.read()
    number = number_of(kept)
    del kept

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_without_a_descriptor_left_a_reading_fails_and_the_next_one_works(
    tmp_path, monkeypatch
):
    (tmp_path / "ours").write_bytes(b"ours")
    kept = KeptFile(str(tmp_path / "ours"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_: os.fstat(-1))
        with pytest.raises(OSError, match="Bad file descriptor"):
            kept.read()

    assert b"ours" == kept.read()


def test_threads_are_counted_as_psutil_counts_them():
    end = threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert psutil.Process().num_threads() == LinuxProcess().thread_count()
    finally:
        end.set()
        for thread in threads:
            thread.join()


@pytest.mark.e2e
def test_a_forked_child_reads_its_own_figures_and_keeps_no_more_descriptors():
    code = """
import os
from probekit.sources.kept import KeptFile
kept = KeptFile("/proc/self/stat")
kept.read()
before = len(os.listdir("/proc/self/fd"))
if os.fork() == 0:
    own = kept.read().split()[0] == str(os.getpid()).encode()
    print(own, len(os.listdir("/proc/self/fd")) - before, flush=True)
    os._exit(0)
os.wait()
print(kept.read().split()[0] == str(os.getpid()).encode())
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert ["True", "0", "True"] == answer.stdout.split()
