"""The sixteen goals: which rows of which table speak for each, and what they say."""

from dataclasses import dataclass

from table import Row, Table

PREFACE = (
    "A goal is met when all its lines are. Where a line misses its goal and meets its "
    "floor: *floor met*. Without a floor there is only met and not met."
)
ORDER = ("met", "floor met", "NOT MET", "not measured")


@dataclass(frozen=True)
class Goal:
    """One goal of the sixteen.

    Attributes:
        number: 1 to 16.
        text: What it is about.
        parts: (title of a table, name of a row in it); all of them must hold.
        note: Why there are no parts, or how the goal is read.
    """

    number: int
    text: str
    parts: "tuple[tuple[str, str], ...]" = ()
    note: str = ""


RECORDING, PEERS, JOURNAL = (
    "Recording",
    "Timing and counting, beside the peers",
    "The journal",
)
FOLD, IMPORT, REQUEST = "Fold and ship", "Import", "A request, by framework"
SAMPLE, ENCODING = "Host, process and interpreter: one sample", "Encoding a batch"
CPU = "probekit: a call, CPU until all is shipped, of two clock reads"

GOALS = (
    Goal(1, "sync decorator", (
        (RECORDING, "@probe, of two clock reads"),
        (RECORDING, "prometheus @Histogram.time() over @probe"),
        (RECORDING, "OpenTelemetry histogram over @probe"),
        (PEERS, "cheapest active span, of ours"),
    )),
    Goal(2, "the same with the background work, CPU", ((PEERS, CPU),)),
    Goal(3, "hot functions", (
        (RECORDING, "a hot function, of two clock reads"),
        (RECORDING, "prometheus @Histogram.time() over a hot function"),
    )),
    Goal(4, "count only", (
        (RECORDING, "@probe.count, of two clock reads"),
        (RECORDING, "prometheus Counter.inc() over @probe.count"),
    )),
    Goal(5, "async decorator", (
        (RECORDING, "@probe on a coroutine, of two clock reads"),
        (PEERS, "cheapest async decorator of a peer, of ours"),
    )),
    Goal(6, "four threads", (
        (RECORDING, "@probe in 4 threads, of one thread"),
        (RECORDING, "calls lost in 4 threads, switch interval 10 µs"),
    )),
    Goal(7, "a call that raises", ((RECORDING, "@probe, a call that raises"),)),
    Goal(8, "switched off", (
        (RECORDING, "functions that @probe changes under PROBEKIT_DISABLE=1"),
        (RECORDING, "@probe, switched off at run time, of two clock reads"),
    )),
    Goal(9, "optional compiled core", (),
         "Not built: it may follow only when the goals in pure Python are met."),
    Goal(10, "the journal", (
        (JOURNAL, "values a second into segments"),
        (JOURNAL, "segment frames, values, of plain file, marshal of values"),
        (JOURNAL, "segment frames, values, of plain file, the same bytes of values"),
    ), "Read twice: against a file that has to make its bytes too, and against one "
       "that is given the same bytes ready made. How near the second can be come to in "
       "CPython says the row of packing, checksum and write alone."),
    Goal(11, "fold and close", (
        (FOLD, "a raw value, alone in its flush"),
        (FOLD, "a raw value, among eleven"),
        (FOLD, "a series and window"),
    )),
    Goal(12, "16 processes, no shared lock", (
        (JOURNAL, "16 processes: locks shared or waited for"),
        (JOURNAL, "16 processes: appends that failed"),
        (JOURNAL, "16 processes: values lost"),
        (JOURNAL, "16 processes: together, of one writer"),
    )),
    Goal(13, "OTLP encoding, pure Python", (
        (ENCODING, "OTLP counters, at once: cheaper than OTel SDK counters, at once"),
        (ENCODING, "OTLP spans, at once: cheaper than OTel SDK spans, at once"),
    ), "With 10,000 records at once, for which the goal was set; smaller batches: see "
       "the table."),
    Goal(14, "import probekit", (
        (IMPORT, "import probekit"),
        (IMPORT, "import probekit, of statsd"),
        (IMPORT, "import probekit, of OTel SDK, traces and metrics"),
        (IMPORT, "import probekit, memory"),
        (IMPORT, "import probekit, modules"),
        (IMPORT, "import probekit, threads"),
    )),
    Goal(15, "host, process and interpreter sample", (
        (SAMPLE, "a sample"),
        (SAMPLE, "a sample: psutil's, of ours"),
    ), "How near the second can be come to, in any language, says the row of the "
       "kernel's answers alone."),
    Goal(16, "a Flask or Django request", (
        (REQUEST, "Flask, probekit, times bare"),
        (REQUEST, "Django, probekit, times bare"),
    ), "What the clock alone takes, without route, status and requests under way, says "
       "a row of the table."),
)  # fmt: skip


def verdict(row):
    """What a row says; None stands for a row that was not measured."""
    if row is None:
        return "not measured"
    if not row.reaches(row.floor):
        return "NOT MET"
    if row.reaches(row.goal):
        return "met"
    return "NOT MET" if row.floor is None else "floor met"


def found(tables: "list[Table]") -> "dict[tuple[str, str], Row]":
    return {(table.title, row.name): row for table in tables for row in table.rows}


def judged(tables):
    """(goal, its verdict, [(name, row or None, verdict)]) for each of the sixteen."""
    rows = found(tables)
    for goal in GOALS:
        parts = [(name, rows.get((title, name))) for title, name in goal.parts]
        told = [(name, row, verdict(row)) for name, row in parts]
        worst = max((v for _, _, v in told), key=ORDER.index, default="not built")
        yield goal, worst, told


def bound(row, value):
    if value is None:
        return "–"
    return f"{'≤' if row.lower_is_better else '≥'} {value:g}"


def to_markdown(tables):
    """The sixteen goals as a table: goal, floor, figure, met or not."""
    lines = [
        "## The sixteen goals",
        "",
        PREFACE,
        "",
        "| # | what | goal | floor | figure | verdict |",
        "| ---: | --- | ---: | ---: | ---: | --- |",
    ]
    counts = dict.fromkeys((*ORDER, "not built"), 0)
    for goal, worst, parts in judged(tables):
        counts[worst] += 1
        note = f" {goal.note}" if goal.note else ""
        lines.append(f"| {goal.number} | **{goal.text}**{note} | | | | **{worst}** |")
        for name, row, said in parts:
            if row is None:
                lines.append(f"| | {name} | | | | {said} |")
                continue
            lines.append(
                f"| | {name} | {bound(row, row.goal)} | {bound(row, row.floor)} "
                f"| {row.figure:,.2f} {row.unit} | {said} |"
            )
    summary = ", ".join(f"{count} {said}" for said, count in counts.items() if count)
    return "\n".join([*lines, "", f"Of the sixteen: {summary}.", ""])
