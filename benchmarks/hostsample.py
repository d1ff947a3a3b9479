"""One sample of host, process and interpreter, against psutil's figures of the same."""

import gc
import os
import resource
import statistics
import sys
import time
from pathlib import Path

import psutil
from table import Row, Table
from turns import rounds, shuffled, spread

from probekit.observer import Observer
from probekit.sources import host_source, interpreter_source, process_source
from probekit.sources.storage import local_mounts, mount_table


def ours():
    observer = Observer()
    sources = host_source(), process_source(), interpreter_source()

    def sample():
        for source in sources:
            source(observer)

    sample.parts = {
        name: (lambda source=source: source(observer))
        for name, source in zip(
            ("host", "process", "interpreter"), sources, strict=True
        )
    }
    sample.observer = observer
    return sample


def by_psutil():
    """The calls that say the same and no more, as one would write them.

    What is read once or each minute (processors, mount table, when the host started)
    is left out on both sides; page faults, which psutil does not tell, are read by
    hand.
    """
    process = psutil.Process()
    places = [mount.mountpoint for mount in local_mounts(mount_table())]
    started_s = psutil.boot_time()

    def sample():
        psutil.cpu_times_percent()
        psutil.cpu_times()
        psutil.virtual_memory()
        psutil.swap_memory()
        page_faults()
        psutil.disk_io_counters(perdisk=True)
        for place in places:
            psutil.disk_usage(place)
        psutil.net_io_counters(pernic=True)
        time.time() - started_s
        with process.oneshot():
            process.cpu_times()
            process.cpu_percent()
            process.memory_info()
            process.num_threads()
            process.num_fds()
            process.num_ctx_switches()
            process.io_counters()
            time.time() - process.create_time()
        resource.getrusage(resource.RUSAGE_SELF)
        gc.get_stats()

    return sample


def page_faults():
    """Faults and major ones: lines of a file that psutil reads for swapped pages."""
    text = Path("/proc/vmstat").read_bytes()
    return [
        int(text[text.index(key) + len(key) :].split(None, 1)[0])
        for key in (b"\npgfault ", b"\npgmajfault ")
    ]


def by_the_kernel():
    """Its answers to what our sample asks, through open files, and none of them read.

    What no sample can go below, in whatever language. Linux only.
    """
    vmstat = Path("/proc/vmstat").read_bytes()
    faults_end = vmstat.index(b"\n", vmstat.index(b"\npgmajfault ") + 1)
    wanted = [  # path, how much of it: the kernel makes up no more than it is asked for
        ("/proc/stat", 256),
        ("/proc/meminfo", 4096),
        ("/proc/vmstat", faults_end),
        ("/proc/net/dev", 4096),
        ("/proc/self/statm", 4096),
    ]
    mounts = local_mounts(mount_table())
    for device in {Path(mount.device).name for mount in mounts}:
        path = Path("/sys/class/block", device, "stat")
        if path.exists():
            wanted.append((path, 4096))
    files = [(os.open(path, os.O_RDONLY), most) for path, most in wanted]
    folders = [os.open(f"/proc/self/{name}", os.O_RDONLY) for name in ("task", "fd")]
    places = [mount.mountpoint for mount in mounts]

    def sample():
        for file, most in files:
            os.pread(file, most, 0)
        for folder in folders:
            os.fstat(folder)
        for place in places:
            os.statvfs(place)
        resource.getrusage(resource.RUSAGE_SELF)
        resource.getrusage(resource.RUSAGE_CHILDREN)
        gc.get_stats()

    return sample


def timed(call, repeats=5):
    def take():
        t0, cpu = time.perf_counter(), time.thread_time()
        for _ in range(repeats):
            call()
        return (
            (time.perf_counter() - t0) / repeats * 1e6,
            (time.thread_time() - cpu) / repeats * 1e6,
        )

    return take


def harvest_of(mine):
    """What it takes to hand one sample over, µs."""
    mine.observer.harvest()
    mine()
    t0 = time.perf_counter()
    mine.observer.harvest()
    return (time.perf_counter() - t0) * 1e6


def run():
    mine, theirs = ours(), by_psutil()
    calls = {"all": mine, "psutil": theirs, **mine.parts}
    if sys.platform == "linux":
        calls["kernel"] = by_the_kernel()
    found = shuffled({n: timed(c) for n, c in calls.items()}, rounds(60), 3)
    took = [harvest_of(mine) for _ in range(rounds(60))]
    wall = {name: [w for w, _ in each] for name, each in found.items()}
    ratios = [p / a for a, p in zip(wall["all"], wall["psutil"], strict=True)]
    quiet = min(wall["psutil"]) / min(wall["all"])
    rows = [
        Row(
            "a sample",
            min(wall["all"]),
            "µs",
            140,
            700,
            note=spread(wall["all"], " µs", 0),
        ),
        Row(
            "a sample: psutil's, of ours",
            quiet,
            "x",
            8,
            1,
            lower_is_better=False,
            note=f"minima; pairs: {spread(ratios, ' x')}; psutil "
            + spread(wall["psutil"], " µs", 0),
        ),
    ]
    rows += [
        Row(
            f"the {name}'s part",
            min(wall[name]),
            "µs",
            note=spread(wall[name], " µs", 0),
        )
        for name in mine.parts
    ]
    if "kernel" in calls:
        answers, alone = wall["kernel"], min(wall["psutil"]) / min(wall["kernel"])
        rows.append(
            Row(
                "the kernel's answers alone, no figure read",
                min(answers),
                "µs",
                note=f"{spread(answers, ' µs', 0)}; psutil's, of it: {alone:.1f} x",
            )
        )
    note = spread(took, " µs", 0)
    rows.append(Row("the harvest of a sample", min(took), "µs", note=note))
    cpu = statistics.median(c for _, c in found["all"])
    rows.append(Row("a sample, CPU", cpu, "µs", note="median"))
    return Table(
        "Host, process and interpreter: one sample",
        rows,
        "Both say the same figures; ours with the observer's bookkeeping (series, and "
        "growth since the last sample), which psutil's have not.",
    )


if __name__ == "__main__":
    print(run().to_markdown())
