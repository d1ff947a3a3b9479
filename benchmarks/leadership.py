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
INTERVAL_S = 5.0
WARM_S = 3.0
SERVED_S = max(10.5 * min(SCALE, 1), 5.5)
ROUNDS = 2


def served(mode, folder, http):
    """CPU share and latencies, ms, of one run in a buffer of its own."""
    folder.mkdir()
    arguments = (HERE / "application.py",)
    more = (folder / "buffer.db", http, INTERVAL_S)
    leader = None
    if mode == "follows":
        leader = Contender(*arguments, "leads", *more)
        leader.ask("0.1")  # it is there first
    try:
        application = Contender(*arguments, mode, *more)
        try:
            application.ask(str(WARM_S))
            answer = application.ask(str(SERVED_S))
        finally:
            application.stop()
    finally:
        if leader:
            leader.stop()
    if mode != "bare":
        spans = read_status(folder / "buffer.db").accounts["spans"].recorded
        least = (
            (WARM_S + SERVED_S) * 2_000 * 0.9
        )  # the last of them may be on their way
        if spans < least:
            raise RuntimeError(f"{mode}: {spans} spans recorded, expected {least:.0f}")
    return answer


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def run():
    folder = Path(tempfile.mkdtemp(prefix="probekit-bench-"))
    found = defaultdict(list)
    try:
        with nowhere() as (http, _):
            for round_ in range(rounds(ROUNDS, 1)):
                for mode in random.sample(list(MODES), len(MODES)):
                    place = folder / f"{mode}{round_}"
                    found[mode].append(served(mode, place, http))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return table_of(found)


def table_of(found):
    def quiet(mode, share):
        """Milliseconds; of the round that was disturbed least."""
        return min(percentile(each[1:], share) for each in found[mode])

    p99 = {mode: quiet(mode, 0.99) for mode in MODES}
    rows = [
        Row(
            f"p99, {text}",
            p99[mode],
            "ms",
            note=f"p50 {quiet(mode, 0.5):.2f}, p99.9 {quiet(mode, 0.999):.2f}, max "
            f"{min(max(e[1:]) for e in found[mode]):.1f} ms; p99 of the rounds "
            + ", ".join(f"{percentile(e[1:], 0.99):.2f}" for e in found[mode])
            + f"; CPU {100 * statistics.median(e[0] for e in found[mode]):.1f} %",
        )
        for mode, text in MODES.items()
    ]
    rows += [
        Row(
            "p99 while leading, of while another leads",
            p99["leads"] / p99["follows"],
            "x",
            note=f"{p99['leads'] - p99['follows']:+.2f} ms",
        ),
        Row(
            'p99 with shipper="process", of while another leads',
            p99["process"] / p99["follows"],
            "x",
            note=f"{p99['process'] - p99['follows']:+.2f} ms",
        ),
    ]
    return Table(
        "The leader's tax",
        rows,
        f"250 requests a second for {SERVED_S:g} s, each with eight spans and eight "
        f"values: 2,000 series and 2,000 spans/s, windows of {INTERVAL_S:g} s, OTLP to "
        "a receiver that keeps nothing. Latency from the moment a request is due. Load "
        f"of the machine at the end: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores.",
        [
            Bars(
                "leadership",
                "Request p99, milliseconds",
                {
                    ("probekit, " if mode != "bare" else "") + text: p99[mode]
                    for mode, text in MODES.items()
                },
                "ms",
            )
        ],
    )


if __name__ == "__main__":
    print(run().to_markdown())
