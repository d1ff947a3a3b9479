"""What the sources of one process and its interpreter promise."""

import gc
import os
import subprocess
import sys

import psutil
import pytest

from probekit.observer import Observer
from probekit.sources import interpreter_source, process_source
from probekit.sources.own_process import PsutilProcess
from probekit.sources.process import ProcessSource

PROCESS_NAMES = {
    "process.cpu.time": ("counter", "s", {"cpu.mode"}),
    "process.cpu.utilization": ("gauge", "1", {"cpu.mode"}),
    "process.memory.usage": ("up_down_counter", "By", set()),
    "process.memory.virtual": ("up_down_counter", "By", set()),
    "process.thread.count": ("up_down_counter", "{thread}", set()),
    "process.unix.file_descriptor.count": (
        "up_down_counter",
        "{file_descriptor}",
        set(),
    ),
    "process.disk.io": ("counter", "By", {"disk.io.direction"}),
    "process.context_switches": (
        "counter",
        "{context_switch}",
        {"process.context_switch.type"},
    ),
    "process.paging.faults": ("counter", "{fault}", {"system.paging.fault.type"}),
    "process.uptime": ("gauge", "s", set()),
}


def pids(observer):
    return {
        dict(series.attributes)["process.pid"] for series in observer.harvest().series
    }


def test_every_figure_has_its_conventional_name_and_carries_the_process_id():
    observer = Observer()
    source = process_source()
    source(observer)
    source(observer)
    series = observer.harvest().series

    assert {} == source.skipped
    for one in series:
        assert PROCESS_NAMES[one.name] == (
            one.kind,
            one.unit,
            {key for key, _ in one.attributes} - {"process.pid"},
        )
        assert os.getpid() == dict(one.attributes)["process.pid"]


@pytest.mark.skipif(not psutil.LINUX, reason="reads what only Linux has")
def test_on_linux_nothing_is_missing():
    observer = Observer()
    source = process_source()
    source(observer)
    source(observer)

    assert set(PROCESS_NAMES) == {series.name for series in observer.harvest().series}


def test_totals_count_what_the_process_did_before_the_first_reading():
    observer = Observer()
    process_source()(observer)
    harvest = observer.harvest()
    total = sum(
        value
        for series_id, value in zip(harvest.sum_ids, harvest.sum_values, strict=True)
        if harvest.series[series_id].name == "process.paging.faults"
    )

    assert total > 0


def test_in_another_process_the_handle_is_taken_anew(monkeypatch):
    source = process_source()
    source(Observer())
    monkeypatch.setattr(os, "getpid", os.getppid)
    observer = Observer()
    source(observer)

    assert {os.getppid()} == pids(observer)


def test_a_process_that_may_not_be_read_is_silence_and_no_error(monkeypatch):
    def gone(pid):
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr(psutil, "Process", gone)
    observer = Observer()
    ProcessSource(make=PsutilProcess)(observer)

    assert not observer.harvest()


def test_without_psutil_the_process_is_silent(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    observer = Observer()
    ProcessSource(make=PsutilProcess)(observer)

    assert not observer.harvest()


def test_the_collectors_first_reading_is_the_base_line():
    observer = Observer()
    source = interpreter_source()
    gc.collect()
    source(observer)
    first = observer.harvest()
    gc.collect()
    source(observer)
    second = observer.harvest()
    oldest = next(
        series_id
        for series_id, series in enumerate(second.series)
        if series.name == "cpython.gc.collections"
        and series.attributes == (("cpython.gc.generation", 2),)
    )

    assert {0.0} == set(first.sum_values)
    assert 1.0 <= second.sum_values[second.sum_ids.index(oldest)]


def test_collector_figures_have_their_conventional_names():
    observer = Observer()
    interpreter_source()(observer)

    assert {
        ("cpython.gc.collections", "counter", "{collection}"),
        ("cpython.gc.collected_objects", "counter", "{object}"),
        ("cpython.gc.uncollectable_objects", "counter", "{object}"),
    } == {(one.name, one.kind, one.unit) for one in observer.harvest().series}


def test_an_interpreter_without_figures_is_silence(monkeypatch):
    monkeypatch.delattr(gc, "get_stats")
    observer = Observer()
    interpreter_source()(observer)

    assert not observer.harvest()


def test_importing_the_sources_does_not_import_psutil():
    code = (
        "import sys, probekit.sources as s; s.host_source(); "
        "print('psutil' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "False" == answer.stdout.strip()


@pytest.mark.e2e
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_tells_of_itself_and_not_of_its_parent():
    code = """
import os
from probekit.observer import Observer
from probekit.sources import process_source
source = process_source()
source(Observer())
if os.fork() == 0:
    observer = Observer()
    source(observer)
    harvest = observer.harvest()
    found = {dict(s.attributes)["process.pid"] for s in harvest.series}
    print(found == {os.getpid()}, flush=True)
    os._exit(0)
os.wait()
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "True" == answer.stdout.strip()
