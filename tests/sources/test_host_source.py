"""What the host's source promises."""

import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from probekit.model import Harvest
from probekit.observer import Observer
from probekit.sources import host_source, storage
from probekit.sources.dear import connections, frequencies, processes
from probekit.sources.host import HostSource, MemoryAndSwap, Paging, Processors
from probekit.sources.linux import LinuxHost
from probekit.sources.network import Interfaces
from probekit.sources.portable import PsutilHost
from probekit.sources.storage import Disks, Filesystems, local_mounts, whole_disks

on_linux = pytest.mark.skipif(not psutil.LINUX, reason="reads what only Linux has")

# name → (kind, unit, attribute keys): OpenTelemetry's semantic conventions 1.44.
HOST_NAMES = {
    "system.cpu.time": ("counter", "s", {"cpu.mode"}),
    "system.cpu.utilization": ("gauge", "1", {"cpu.mode"}),
    "system.cpu.logical.count": ("up_down_counter", "{cpu}", set()),
    "system.cpu.physical.count": ("up_down_counter", "{cpu}", set()),
    "system.memory.usage": ("up_down_counter", "By", {"system.memory.state"}),
    "system.memory.limit": ("up_down_counter", "By", set()),
    "system.memory.utilization": ("gauge", "1", {"system.memory.state"}),
    "system.memory.linux.available": ("up_down_counter", "By", set()),
    "system.paging.usage": ("up_down_counter", "By", {"system.paging.state"}),
    "system.paging.utilization": ("gauge", "1", {"system.paging.state"}),
    "system.paging.faults": ("counter", "{fault}", {"system.paging.fault.type"}),
    "system.paging.operations": (
        "counter",
        "{operation}",
        {"system.paging.direction"},
    ),
    "system.disk.io": ("counter", "By", {"system.device", "disk.io.direction"}),
    "system.disk.operations": (
        "counter",
        "{operation}",
        {"system.device", "disk.io.direction"},
    ),
    "system.disk.operation_time": (
        "counter",
        "s",
        {"system.device", "disk.io.direction"},
    ),
    "system.disk.io_time": ("counter", "s", {"system.device"}),
    "system.network.io": (
        "counter",
        "By",
        {"network.interface.name", "network.io.direction"},
    ),
    "system.network.errors": (
        "counter",
        "{error}",
        {"network.interface.name", "network.io.direction"},
    ),
    "system.network.packet.count": (
        "counter",
        "{packet}",
        {"system.device", "network.io.direction"},
    ),
    "system.network.packet.dropped": (
        "counter",
        "{packet}",
        {"network.interface.name", "network.io.direction"},
    ),
    "system.uptime": ("gauge", "s", set()),
}
_PLACE = {
    "system.device",
    "system.filesystem.mountpoint",
    "system.filesystem.type",
    "system.filesystem.mode",
}
HOST_NAMES |= {
    "system.filesystem.usage": (
        "up_down_counter",
        "By",
        _PLACE | {"system.filesystem.state"},
    ),
    "system.filesystem.limit": ("up_down_counter", "By", _PLACE),
    "system.filesystem.utilization": (
        "gauge",
        "1",
        _PLACE | {"system.filesystem.state"},
    ),
}


class StillClock:
    """A clock that moves when told."""

    def __init__(self):
        self.now_s = 1000.0

    def wall_ns(self):
        return int(self.now_s * 1e9)

    def monotonic_s(self):
        return self.now_s


def said(harvest: Harvest) -> "dict[str, dict[tuple, float]]":
    """Name → attributes → what was said last (levels and growths summed)."""
    out: dict[str, dict[tuple, float]] = {}
    for ids, values, adds in (
        (harvest.sum_ids, harvest.sum_values, True),
        (harvest.gauge_ids, harvest.gauge_values, False),
    ):
        for series_id, value in zip(ids, values, strict=True):
            series = harvest.series[series_id]
            row = out.setdefault(series.name, {})
            before = row.get(series.attributes, 0.0) if adds else 0.0
            row[series.attributes] = before + value
    return out


@pytest.fixture
def observer():
    return Observer()


def test_every_figure_has_the_name_the_kind_and_the_unit_of_the_conventions(observer):
    source = host_source()
    source(observer)
    source(observer)

    for series in observer.harvest().series:
        assert HOST_NAMES[series.name] == (
            series.kind,
            series.unit,
            {key for key, _ in series.attributes},
        )


@on_linux
def test_on_linux_all_families_are_told(observer):
    HostSource()(observer)
    names = {series.name for series in observer.harvest().series}
    families = {".".join(name.split(".")[:2]) for name in names}

    assert {
        "system.cpu",
        "system.memory",
        "system.network",
        "system.uptime",
    } <= families


def test_counters_of_the_host_begin_at_zero_when_first_seen(observer):
    HostSource()(observer)
    told = said(observer.harvest())

    assert {0.0} == set(told["system.cpu.time"].values())
    assert {0.0} == set(told["system.network.io"].values())


READERS = [PsutilHost(), pytest.param(LinuxHost(), marks=on_linux)]


@pytest.mark.parametrize("reader", READERS)
def test_memory_states_add_up_to_the_limit(observer, reader):
    MemoryAndSwap(reader)(observer)
    told = said(observer.harvest())

    assert told["system.memory.limit"][()] == sum(told["system.memory.usage"].values())
    assert pytest.approx(1.0) == sum(told["system.memory.utilization"].values())


def test_shares_of_the_processors_add_up_to_one(observer, monkeypatch):
    times = iter(
        [
            SimpleNamespace(user=10.0, system=5.0, idle=85.0),
            SimpleNamespace(user=12.0, system=6.0, idle=92.0),
        ]
    )
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu=False: next(times))
    processors = Processors(PsutilHost())
    processors(observer)
    processors(observer)
    shares = said(observer.harvest())["system.cpu.utilization"]

    assert {"user": 0.2, "system": 0.1, "idle": 0.7} == pytest.approx(
        {dict(key)["cpu.mode"]: share for key, share in shares.items()}
    )


@pytest.mark.parametrize("reader", READERS)
def test_the_first_reading_has_no_share_because_nothing_was_measured(observer, reader):
    Processors(reader)(observer)

    assert "system.cpu.utilization" not in said(observer.harvest())


def test_both_kinds_of_interrupts_are_one_mode(observer, monkeypatch):
    times = iter(
        SimpleNamespace(user=0.0, irq=irq, softirq=softirq)
        for irq, softirq in ((1.0, 1.0), (2.0, 4.0))
    )
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu=False: next(times))
    processors = Processors(PsutilHost())
    processors(observer)
    processors(observer)
    seconds = said(observer.harvest())["system.cpu.time"]

    assert 4.0 == seconds[(("cpu.mode", "interrupt"),)]


def test_per_processor_figures_carry_the_number_when_asked_for(observer):
    Processors(PsutilHost(), per_cpu=True)(observer)
    numbers = {
        dict(key)["cpu.logical_number"]
        for key in said(observer.harvest())["system.cpu.time"]
    }

    assert set(range(psutil.cpu_count())) == numbers


def test_a_part_that_cannot_be_read_costs_that_part_only(observer, monkeypatch):
    def forbidden(**_):
        raise PermissionError

    monkeypatch.setattr(psutil, "net_io_counters", forbidden)
    source = HostSource(reader=PsutilHost())
    source(observer)
    told = said(observer.harvest())

    assert {"network": "PermissionError"} == source.skipped
    assert "system.network.io" not in told
    assert "system.memory.limit" in told


def test_a_part_that_can_be_read_again_is_no_longer_skipped(observer, monkeypatch):
    source = HostSource(reader=PsutilHost())
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "net_io_counters", lambda **_: 1 / 0)
        source(observer)
    before = source.skipped.copy()
    source(observer)

    assert ["network"] == [*(before.keys() - source.skipped.keys())]


def test_without_psutil_nothing_is_raised(observer, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    source = HostSource(reader=PsutilHost())
    source(observer)

    assert "ModuleNotFoundError" == source.skipped["cpu"]


@on_linux
def test_on_linux_nothing_needs_psutil(observer, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    source = HostSource()
    source(observer)

    assert {} == source.skipped


@on_linux
def test_a_missing_file_is_the_error_that_the_section_is_skipped_for(observer):
    with pytest.raises(FileNotFoundError):
        Paging(LinuxHost("/nowhere"))(observer)


@on_linux
def test_page_faults_are_told_as_minor_and_major(observer, tmp_path):
    table, paging = tmp_path / "vmstat", Paging(LinuxHost(str(tmp_path)))
    table.write_text("pgfault 100\npgmajfault 10\npswpin 3\npswpout 4\n")
    paging(observer)
    table.write_text("pgfault 150\npgmajfault 15\npswpin 5\npswpout 4\n")
    paging(observer)
    told = said(observer.harvest())

    assert 5.0 == told["system.paging.faults"][(("system.paging.fault.type", "major"),)]
    assert (
        45.0 == told["system.paging.faults"][(("system.paging.fault.type", "minor"),)]
    )
    assert 2.0 == told["system.paging.operations"][(("system.paging.direction", "in"),)]


def test_uptime_is_never_negative_when_the_wall_clock_is_wrong(observer):
    clock = StillClock()
    HostSource(clock=clock, reader=PsutilHost(clock))(observer)

    assert 0.0 == said(observer.harvest())["system.uptime"][()]


def test_the_ends_of_containers_interfaces_are_left_out(observer, monkeypatch):
    row = SimpleNamespace(
        bytes_recv=1, packets_recv=1, errin=0, dropin=0,
        bytes_sent=1, packets_sent=1, errout=0, dropout=0,
    )  # fmt: skip
    table = {"eth0": row, "veth12ab": row}
    monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: table)
    Interfaces(PsutilHost())(observer)
    names = Counter(
        dict(key)["network.interface.name"]
        for key in said(observer.harvest())["system.network.io"]
    )

    assert {"eth0": 2} == names


def mount(device, mountpoint, fstype, opts="rw"):
    return SimpleNamespace(
        device=device, mountpoint=str(mountpoint), fstype=fstype, opts=opts
    )


@pytest.mark.parametrize(
    "fstype", ["nfs4", "cifs", "fuse.sshfs", "autofs", "9p", "ceph", "never-heard-of"]
)
def test_a_file_system_across_a_network_is_never_touched(fstype, monkeypatch):
    def touched(self):
        raise AssertionError(self)

    monkeypatch.setattr(Path, "is_dir", touched)

    assert [] == local_mounts([mount("server:/export", "/mnt/hung", fstype)])


def test_one_mount_stands_for_each_device_and_single_files_for_none(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    file = tmp_path / "resolv.conf"
    file.touch()
    table = [
        mount("/dev/vda", inner, "ext4"),
        mount("/dev/vda", tmp_path, "ext4"),
        mount("/dev/vdb", file, "ext4"),
    ]

    assert [str(tmp_path)] == [chosen.mountpoint for chosen in local_mounts(table)]


def test_space_is_told_by_state_and_adds_up_to_the_limit(
    observer, monkeypatch, tmp_path
):
    table = [mount("/dev/vda", tmp_path, "ext4", "ro,relatime")]
    monkeypatch.setattr(storage, "mount_table", lambda: table)
    Filesystems(StillClock())(observer)
    told = said(observer.harvest())
    ((key, limit),) = told["system.filesystem.limit"].items()

    assert "ro" == dict(key)["system.filesystem.mode"]
    assert limit == sum(told["system.filesystem.usage"].values())


def test_a_mount_that_vanished_makes_the_table_be_read_again(
    observer, monkeypatch, tmp_path
):
    tables = [[mount("/dev/vda", tmp_path, "ext4")], []]
    monkeypatch.setattr(storage, "mount_table", lambda: tables.pop(0))
    filesystems = Filesystems(StillClock())
    filesystems(observer)
    monkeypatch.setattr(storage, "space", lambda path: Path("/nowhere").stat())
    filesystems(observer)
    filesystems(observer)

    assert [] == tables


def test_partitions_and_memory_disks_are_no_disks(observer, monkeypatch, tmp_path):
    for name in ("sda", "loop0", "ram1", "zram0"):
        (tmp_path / name).mkdir()
    row = SimpleNamespace(
        read_bytes=1, read_count=1, read_time=1, write_bytes=1, write_count=1,
        write_time=1, busy_time=1,
    )  # fmt: skip
    table = dict.fromkeys(("sda", "sda1", "loop0"), row)
    monkeypatch.setattr(psutil, "disk_io_counters", lambda perdisk: table)
    whole = whole_disks(tmp_path)
    monkeypatch.setattr(storage, "whole_disks", lambda: whole)
    Disks(PsutilHost(), StillClock())(observer)

    assert {"sda"} == whole
    assert {(("system.device", "sda"),)} == set(
        said(observer.harvest())["system.disk.io_time"]
    )


def test_where_nobody_knows_what_a_disk_is_all_are_told(tmp_path):
    assert whole_disks(tmp_path / "missing") is None


def test_dear_figures_are_told_on_request_only(monkeypatch):
    def dear(*_, **__):
        raise AssertionError

    for name in ("process_iter", "net_connections", "cpu_freq", "pids"):
        monkeypatch.setattr(psutil, name, dear)
    cheap, full = HostSource(), HostSource(dear=True)
    cheap(Observer())
    full(Observer())

    assert {} == cheap.skipped
    assert {"process", "connection", "frequency"} == set(full.skipped)


def test_dear_figures_have_the_names_of_the_conventions(observer, monkeypatch):
    monkeypatch.setattr(
        psutil,
        "net_connections",
        lambda kind: [SimpleNamespace(type=1, status="ESTABLISHED")],
    )
    monkeypatch.setattr(
        psutil, "cpu_freq", lambda percpu: [SimpleNamespace(current=2400.0)]
    )
    monkeypatch.setattr(
        psutil,
        "process_iter",
        lambda fields: [SimpleNamespace(info={"status": "sleeping"})] * 2,
    )
    for part in (processes, connections, frequencies):
        part(observer)

    assert {
        "system.process.count": {(("process.state", "sleeping"),): 2.0},
        "system.network.connection.count": {
            (
                ("network.connection.state", "established"),
                ("network.transport", "tcp"),
            ): 1.0
        },
        "system.cpu.frequency": {(("cpu.logical_number", 0),): 2.4e9},
    } == said(observer.harvest())
