"""What the leader takes from the application it lives in: latency of requests.

The same application four times, one after the other, several rounds in shuffled order:
without probekit, recording while another process leads, leading itself, and with a
shipper in a process of its own. 2,000 series and 2,000 spans a second.
"""

import os
import random
import shutil
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from nowhere import nowhere
from plots import Bars
from table import Row, Table
from turns import HERE, SCALE, Contender, rounds

from probekit.buffer.read_only import read_status

MODES = {
    "bare": "without probekit",
    "follows": "another process leads",
    "leads": 'leads, shipper="thread"',
    "process": 'shipper="process"',
}
LIGHT = ("follows", "leads", "process")
INTERVAL_S = 2.5
WARM_S = 2.0
SERVED_S = max(6.0 * min(SCALE, 1), 3.0)
ROUNDS = 2


def served(mode, load, folder, http):
    """CPU share and latencies, ms, of one run in a buffer of its own."""
    folder.mkdir()
    arguments = (HERE / "application.py",)
    more = (folder / "buffer.db", http, INTERVAL_S)
    leader = None
    if mode == "follows":
        leader = Contender(*arguments, "leads", load, *more)
        leader.ask("0.1")  # it is there first
    try:
        application = Contender(*arguments, mode, load, *more)
        try:
            application.ask(str(WARM_S))
            answer = application.ask(str(SERVED_S))
        finally:
            application.stop()
    finally:
        if leader:
            leader.stop()
    if mode != "bare" and load == "heavy":
        spans = read_status(folder / "buffer.db").accounts["spans"].recorded
        least = 8 * len(answer)  # those of the warm-up are more than what is on its way
        if spans < least:
            raise RuntimeError(f"{mode}: {spans} spans recorded, expected {least:.0f}")
    return answer


def run():
    folder = Path(tempfile.mkdtemp(prefix="probekit-bench-"))
    found = defaultdict(list)
    try:
        with nowhere() as (http, _):
            ways = [(mode, "heavy") for mode in MODES]
            ways += [(mode, "light") for mode in LIGHT]
            for round_ in range(rounds(ROUNDS, 1)):
                for way in random.sample(ways, len(ways)):
                    place = folder / f"{way[0]}-{way[1]}{round_}"
                    found[way].append(served(*way, place, http))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return table_of(found)


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def table_of(found):
    def quiet(way, share):
        """Milliseconds; of the round that was disturbed least."""
        return min(percentile(each[1:], share) for each in found[way])

    p99 = {way: quiet(way, 0.99) for way in found}
    cpu = {w: 100 * statistics.median(e[0] for e in each) for w, each in found.items()}
    rows, shown = [], {}
    for way in [(m, load) for load in ("heavy", "light") for m in MODES]:
        if way not in found:
            continue
        text = f"{way[1]} load, {MODES[way[0]]}"
        shown[("probekit, " if way[0] != "bare" else "") + text] = p99[way]
        rounds_p99 = ", ".join(f"{percentile(e[1:], 0.99):.2f}" for e in found[way])
        note = (
            f"p50 {quiet(way, 0.5):.2f}, p99.9 {quiet(way, 0.999):.2f}, max "
            f"{min(max(e[1:]) for e in found[way]):.1f} ms; p99 of the rounds "
            f"{rounds_p99}; CPU of the process {cpu[way]:.1f} %"
        )
        rows.append(Row(f"p99, {text}", p99[way], "ms", note=note))
    for load in ("heavy", "light"):
        for mode in ("leads", "process"):
            ours, theirs = p99[mode, load], p99["follows", load]
            more = cpu[mode, load] - cpu["follows", load]
            rows.append(
                Row(
                    f"p99, {load} load, {MODES[mode]}: of while another process leads",
                    ours / theirs,
                    "x",
                    note=f"{ours - theirs:+.2f} ms; CPU {more:+.1f} % of a core",
                )
            )
    return Table(
        "The leader's tax",
        rows,
        f"250 requests a second for {SERVED_S:g} s, each with eight values; heavy: "
        "2,000 series and 2,000 spans/s, light: 300 series, no spans; windows of "
        f"{INTERVAL_S:g} s (four times as many closes as usual), OTLP to a receiver "
        "that keeps nothing. Latency from the moment a request is due. Load of the "
        f"machine at the end: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores.",
        [Bars("leadership", "Request p99, milliseconds", shown, "ms")],
    )


if __name__ == "__main__":
    print(run().to_markdown())
