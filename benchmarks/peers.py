"""Every way to time and to count a call, ours and the peers', cost of shipping too."""

from nowhere import nowhere
from peer import WAYS
from plots import Bars
from table import Row, Table
from turns import HERE, Contender, Over, interleave, rounds

# Long enough queues: what is recorded is shipped, or the comparison is unfair to us.
ENV = {
    "OTEL_BSP_MAX_QUEUE_SIZE": "1000000",
    "OTEL_BLRP_MAX_QUEUE_SIZE": "1000000",
    "LOGFIRE_IGNORE_NO_CONFIG": "1",
}
KINDS = {
    "sync": ("a call", 60),
    "async": ("a coroutine", 40),
    "raising": ("a call that raises", 30),
    "threads": ("a call, in four threads, CPU", 10),
    "count": ("counting one", 40),
    "cpu": ("a call, CPU of the process until all is shipped", 9),
}


def started(http, udp):
    """Name → contender, for each library that is there and works."""
    found, absent = {}, []
    for name in WAYS:
        more = {"PROBEKIT_DISABLE": "1"} if name == "probekit, disabled" else {}
        one = Contender(HERE / "peer.py", name, http, udp, env=ENV | more)
        try:
            one.ask("sync")
        except RuntimeError:
            absent.append(name)
            one.stop()
        else:
            found[name] = one
    return found, absent


def rows_of(kind, answers):
    """One kind of call: ours first, then the peers from cheap to dear."""
    what = KINDS[kind][0]
    over = {name: Over(pairs) for name, pairs in answers.items()}
    ours = over["probekit"]
    for name in OURS:
        if name in over and (name != CLOCKS or kind in {"sync", "threads", "cpu"}):
            yield Row(f"{name}: {what}", over[name].quiet, note=str(over[name]))
    if kind == "cpu":
        clocks = over[CLOCKS]
        yield Row(
            "probekit: a call, CPU until all is shipped, of two clock reads",
            ours.quiet / clocks.quiet,
            "x",
            2.5,
            3.2,
            note=f"two clock reads: {clocks}",
        )
    others = sorted((one.quiet, name) for name, one in over.items() if name in PEERS)
    for quiet, name in others:
        yield Row(
            f"{name}: {what}, of ours",
            quiet / ours.quiet,
            "x",
            lower_is_better=False,
            note=str(over[name]),
        )
    if kind == "async":
        cheapest, name = next(pair for pair in others if pair[1] in SHIP_ASYNC)
        yield Row(
            "cheapest async decorator of a peer, of ours",
            cheapest / ours.quiet,
            "x",
            goal=25,
            lower_is_better=False,
            note=f"{name}; prometheus_client, OTel metrics and sentry ship none: "
            "theirs above are by hand",
        )
    if kind == "sync":
        spans = {n: over[n].quiet for n in SPANS if n in over}
        cheapest = min(spans, key=spans.get)
        yield Row(
            "cheapest active span, of ours",
            spans[cheapest] / ours.quiet,
            "x",
            goal=70,
            lower_is_better=False,
            note=cheapest,
        )


CLOCKS = "two clock reads"
OURS = ("probekit", "probekit, disabled", CLOCKS)
PEERS = tuple(name for name in WAYS if name not in OURS)
SHIP_ASYNC = ("dogstatsd", "autometrics", "OTel spans", "logfire", "ddtrace")
SPANS = ("OTel spans", "sentry", "logfire", "ddtrace")


def run():
    """Measure all kinds; the same processes for all of them."""
    rows, plots = [], []
    with nowhere() as (http, udp):
        contenders, absent = started(http, udp)
        try:
            for kind, (what, number) in KINDS.items():
                warm = 1 if kind == "cpu" else 3
                answers = interleave(contenders, rounds(number), kind, warm)
                rows += rows_of(kind, answers)
                plots.append(
                    Bars(
                        f"peers-{kind}",
                        f"{what}: nanoseconds over the bare one",
                        {
                            name: Over(pairs).quiet
                            for name, pairs in answers.items()
                            if name not in OURS[1:]
                        },
                        unit="ns",
                    )
                )
        finally:
            for one in contenders.values():
                one.stop()
    left = f" Not there: {', '.join(absent)}." if absent else ""
    return Table(
        "Timing and counting, beside the peers",
        rows,
        "Each in a process of its own, all ship to a receiver that keeps nothing; "
        "processes take turns in shuffled rounds, each measures the bare call in the "
        "same turn. sentry: a transaction a call. OTel metrics: a decorator by hand. "
        f"Peers: of ours = how many times dearer.{left}",
        plots,
    )


if __name__ == "__main__":
    print(run().to_markdown())
