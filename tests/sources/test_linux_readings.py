"""Laws of what is read from ``/proc``: psutil's figures, safe descriptors."""

import ast
import os
import resource
import subprocess
import sys
import threading

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.observer import Observer
from probekit.sources import kept as kept_module
from probekit.sources.host import HostSource
from probekit.sources.kept import KeptFile, Lines
from probekit.sources.portable import PsutilHost
from probekit.sources.process import ProcessSource
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


def disks_of(tmp_path, block="block"):
    (tmp_path / "diskstats").write_text(
        "8 0 sda 1 0 2 3 4 0 5 6 0 7 8\n8 1 sda1 9 9 9 9 9 9 9 9 9 9 9\n"
    )
    return LinuxHost(str(tmp_path), str(tmp_path / block))


SDA = [("sda", (1024, 1, 0.003, 2560, 4, 0.006, 0.007))]


def test_a_disk_that_has_no_file_of_its_own_is_found_in_the_file_of_all(tmp_path):
    assert SDA == disks_of(tmp_path, "nowhere").disks({"sda"})


def test_a_few_disks_are_read_from_files_of_their_own(tmp_path):
    for name in ("sda", "cciss!c0d0"):
        (tmp_path / "block" / name).mkdir(parents=True)
        (tmp_path / "block" / name / "stat").write_text(" 1 0 2 3 4 0 5 6 0 7 8 9\n")
    host = disks_of(tmp_path)
    (tmp_path / "diskstats").unlink()

    assert SDA == host.disks({"sda"})
    assert [("cciss/c0d0", SDA[0][1])] == host.disks({"cciss/c0d0"})


def test_a_disk_that_goes_is_told_no_longer(tmp_path):
    path = tmp_path / "block" / "sdb" / "stat"
    path.parent.mkdir(parents=True)
    path.write_text("1 0 2 3 4 0 5 6 0 7 8\n")
    host = disks_of(tmp_path)
    before = host.disks({"sdb"})
    host._disk["sdb"].close()
    path.unlink()

    assert (["sdb"], []) == ([row[0] for row in before], host.disks({"sdb"}))


VMSTAT = "nr_free_pages {}\npswpin 3\npswpout 4\n{}pgfault {}\npgmajfault 10\n"


def test_paging_is_read_right_also_when_the_lines_before_it_become_longer(tmp_path):
    table, host = tmp_path / "vmstat", LinuxHost(str(tmp_path))
    for free, more, faults in (
        ("1", "", 5),
        ("1", "", 6),
        ("11", "", 77),
        ("1" * 99, "", 8),
        ("1", "x 1\n" * 99, 8),
        ("1" * 99, "", 123456789),
        ("1", "", 1),
    ):
        table.write_text(VMSTAT.format(free, more, faults) + "y 1\n" * 99)

        assert (faults, 10, 3, 4) == host.paging()


def test_of_a_long_file_only_what_is_needed_is_read(tmp_path, monkeypatch):
    table, host = tmp_path / "vmstat", LinuxHost(str(tmp_path))
    table.write_text(VMSTAT.format(1, "", 5) + "y 1\n" * 999)
    sizes, pread = [], os.pread
    monkeypatch.setattr(
        os, "pread", lambda *a: sizes.append(len(pread(*a))) or pread(*a)
    )
    first, again = host.paging(), host.paging()

    assert first == again
    assert sizes[-1] < 256 < sizes[0]


NAMES_OF_LINES = ["a", "b", "aa", "ba", "c"]


@settings(max_examples=30)
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(NAMES_OF_LINES), st.integers(0, 10**12)),
            unique_by=lambda line: line[0],
            max_size=5,
        ).map(lambda lines: lines if len(lines) % 2 else sorted(lines)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["\n", " kB\n"]),
    st.integers(1, 9),
)
def test_numbers_are_found_wherever_their_lines_have_moved_to(texts, end, width):
    lines = Lines(b"\na:", b"\nba:", b"\nb:", end=end.encode())
    for each in texts:
        text = "".join(f"{name}:{value:{width}}{end}" for name, value in each)
        values = dict(each)
        if {"a", "b", "ba"} <= values.keys():
            found = lines.numbers(b"\n" + text.encode())

            assert [values["a"], values["ba"], values["b"]] == found
        else:
            with pytest.raises(ValueError, match="not found"):
                lines.numbers(b"\n" + text.encode())


@pytest.mark.parametrize("cut", [1, 2])
def test_a_number_that_is_not_whole_is_none(cut):
    lines = Lines(b"\na ", b"\nb ")
    text = b"\na 12\nb 34\n"
    lines.numbers(text)

    with pytest.raises(ValueError, match="not found"):
        lines.numbers(text[:-cut])


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
    ):
        ours, peer = told[part]

        assert pytest.approx(peer, abs=drift) == ours

    # psutil counts from the second of the boot, its fraction cut off.
    ours, peer = told["uptime_s"]

    assert -0.5 <= peer - ours <= 1.5


@pytest.mark.e2e
def test_what_is_written_to_disks_is_psutils_with_that_of_children(tmp_path):
    code = """
import os, sys
from probekit.clock import SYSTEM_CLOCK
from probekit.sources.linux_process import LinuxProcess
from probekit.sources.own_process import PsutilProcess
ours, peer = LinuxProcess(), PsutilProcess(SYSTEM_CLOCK)
peer.disk_bytes(), ours.disk_bytes()
def write(name):
    with open(os.path.join(sys.argv[1], name), "wb") as file:
        file.write(bytes(70000))
        file.flush()
        os.fsync(file.fileno())
write("own")
if os.fork() == 0:
    write("other")
    os._exit(0)
os.wait()
print((ours.disk_bytes(), peer.disk_bytes()))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    ours, peer = ast.literal_eval(answer.stdout)

    assert peer == ours


def test_a_sandbox_that_forbids_to_ask_what_is_used_costs_no_other_figure(monkeypatch):
    def forbidden(who):
        raise PermissionError(who)

    monkeypatch.setattr(resource, "getrusage", forbidden)
    observer, source = Observer(), ProcessSource()
    source(observer)
    names = {series.name for series in observer.harvest().series}

    assert {"fault": "PermissionError"} == source.skipped
    assert {"process.cpu.time", "process.memory.usage", "process.disk.io"} <= names


@pytest.fixture
def without_blocks(tmp_path, monkeypatch):
    """A process whose kernel counts no blocks, and its file."""
    process, used = LinuxProcess(), resource.getrusage(resource.RUSAGE_SELF)
    none = resource.struct_rusage((*used[:9], 0, 0, *used[11:]))
    monkeypatch.setattr(resource, "getrusage", lambda who: none)
    process._io = KeptFile(str(tmp_path / "io"))
    return process, tmp_path / "io"


IO = "rchar: 1\nread_bytes: {}\nwrite_bytes: {}\n"


def test_where_no_blocks_are_counted_the_file_tells_of_disks(without_blocks):
    process, file = without_blocks
    for numbers in ((7, 9), (7, 10), (0, 11)):
        file.write_text(IO.format(*numbers))

        assert numbers == process.disk_bytes()


def test_the_file_is_asked_again_where_nothing_was_moved(without_blocks):
    process, file = without_blocks
    file.write_text(IO.format(0, 0))
    process.disk_bytes()
    file.write_text(IO.format(7, 9))
    told = [process.disk_bytes() for _ in range(7)]

    assert [(0, 0)] * 5 + [(7, 9)] * 2 == told


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


def test_a_number_that_another_of_our_files_took_is_not_read(tmp_path):
    files = {name: KeptFile(str(tmp_path / name)) for name in ("one", "other")}
    for name, kept in files.items():
        (tmp_path / name).write_bytes(name.encode())
        kept.read()
    os.dup2(number_of(files["other"]), number_of(files["one"]))

    assert [b"one", b"other"] == [kept.read() for kept in files.values()]


def test_where_no_file_can_be_marked_each_is_looked_at(tmp_path, monkeypatch):
    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(kept_module, "fcntl", forbidden)
    test_a_number_that_the_host_took_is_neither_read_nor_closed(tmp_path)
    test_a_number_that_another_of_our_files_took_is_not_read(tmp_path)


def test_whoever_forgets_a_file_leaves_no_descriptor_open(tmp_path):
    (tmp_path / "ours").write_bytes(b"ours")
    kept = KeptFile(str(tmp_path / "ours"))
    kept.read()
    number = number_of(kept)
    del kept

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_a_file_that_outlives_its_module_is_silent(tmp_path, monkeypatch):
    (tmp_path / "ours").write_bytes(b"ours")
    file = KeptFile(str(tmp_path / "ours"))
    file.read()
    number = number_of(file)
    with monkeypatch.context() as patch:
        for name in ("os", "suppress", "Held"):  # as where the interpreter ends
            patch.setattr(kept_module, name, None)
        unraisable = []
        patch.setattr(sys, "unraisablehook", unraisable.append)
        file._held = Silent()
        del file
    os.close(number)

    assert [] == unraisable


class Silent:
    """A descriptor that cannot be looked at any more."""

    def close(self):
        raise TypeError("'NoneType' object is not callable")


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
def test_a_forked_child_reads_its_own_figures_and_keeps_none_of_its_parents_files():
    code = """
import os, threading
from probekit.observer import Observer
from probekit.sources import process_source
source, end = process_source(), threading.Event()
threads = [threading.Thread(target=end.wait) for _ in range(3)]
for thread in threads:
    thread.start()
def threads_told():
    observer = Observer()
    source(observer)
    harvest = observer.harvest()
    names = [one.name for one in harvest.series]
    told = dict(zip(map(names.__getitem__, harvest.sum_ids), harvest.sum_values))
    return told["process.thread.count"]
def files_of(pid):
    kept = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            kept += os.readlink(f"/proc/self/fd/{number}").startswith(f"/proc/{pid}/")
        except FileNotFoundError:  # it was the listing's own
            pass
    return kept
print(threads_told(), files_of(os.getpid()) > 0, flush=True)
if os.fork() == 0:
    print(threads_told(), files_of(os.getpid()) > 0, files_of(os.getppid()), flush=True)
    os._exit(0)
os.wait()
print(threads_told())
end.set()
"""
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ["4.0 True", "1.0 True 0", "4.0"] == answer.stdout.splitlines()
