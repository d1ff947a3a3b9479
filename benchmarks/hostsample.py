"""One sample of host, process and interpreter, against psutil's figures of the same."""

import gc
import statistics
import time

import psutil
from table import Row, Table
from turns import rounds, shuffled, spread

from probekit.observer import Observer
from probekit.sources import host_source, interpreter_source, process_source


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
    """The calls that say the same, as one would write them."""
    process = psutil.Process()

    def sample():
        psutil.cpu_percent()
        psutil.cpu_times_percent()
        psutil.cpu_times()
        psutil.virtual_memory()
        psutil.swap_memory()
        psutil.disk_io_counters(perdisk=True)
        psutil.disk_usage("/")
        psutil.net_io_counters(pernic=True)
        psutil.getloadavg()
        with process.oneshot():
            process.cpu_times()
            process.memory_info()
            process.num_threads()
            process.num_fds()
            process.num_ctx_switches()
            process.cpu_percent()
        gc.get_stats()
        gc.get_count()

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


def run():
    mine, theirs = ours(), by_psutil()
    calls = {"all": mine, "psutil": theirs, **mine.parts}
    found = shuffled({n: timed(c) for n, c in calls.items()}, rounds(60), 3)
    mine.observer.harvest()
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
    cpu = statistics.median(c for _, c in found["all"])
    rows.append(Row("a sample, CPU", cpu, "µs", note="median"))
    return Table(
        "Host, process and interpreter: one sample",
        rows,
        "With the observer's bookkeeping, which psutil's figures have not.",
    )


if __name__ == "__main__":
    print(run().to_markdown())
