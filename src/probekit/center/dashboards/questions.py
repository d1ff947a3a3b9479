"""What people want to see of an application, as data; no viewer, no query language.

Each viewer translates the same questions into the language of each store.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from probekit.model import Kind

Ask: TypeAlias = Literal["rate", "level", "mean", "p95"]
BUSINESS = "$metric"  # the counter that the viewer's user has chosen


@dataclass(frozen=True, slots=True)
class Question:
    """One panel.

    Attributes:
        title: For people.
        metric: Its name as recorded; BUSINESS for the one the user chooses.
        kind: Of the metric.
        unit: Of the metric, UCUM.
        ask: ``rate`` per second, ``level``, ``mean`` or the 95th percentile.
        by: The attribute that tells the lines of the panel apart; empty for one line.
        failed: Only what carries ``error.type``.
    """

    title: str
    metric: str
    kind: Kind
    unit: str
    ask: Ask
    by: str = ""
    failed: bool = False


_Metric: TypeAlias = "tuple[str, Kind, str]"
_FUNCTION: _Metric = ("probekit.function.duration", "histogram", "s")
_REQUEST: _Metric = ("http.server.request.duration", "histogram", "s")
_NAME, _ROUTE = "code.function.name", "http.route"

SECTIONS: "tuple[tuple[str, tuple[Question, ...]], ...]" = (
    (
        "Functions",
        (
            Question("Calls per second", *_FUNCTION, "rate", _NAME),
            Question("Duration, 95th percentile", *_FUNCTION, "p95", _NAME),
            Question("Duration, mean", *_FUNCTION, "mean", _NAME),
        ),
    ),
    (
        "Requests",
        (
            Question("Requests per second", *_REQUEST, "rate", _ROUTE),
            Question("Latency, 95th percentile", *_REQUEST, "p95", _ROUTE),
            Question(
                "By status per second", *_REQUEST, "rate", "http.response.status_code"
            ),
        ),
    ),
    (
        "Errors",
        (
            Question(
                "Failed calls per second", *_FUNCTION, "rate", _NAME, failed=True
            ),
            Question(
                "Failed requests per second", *_REQUEST, "rate", _ROUTE, failed=True
            ),
            Question(
                "Kinds of errors per second",
                *_FUNCTION,
                "rate",
                "error.type",
                failed=True,
            ),
        ),
    ),
    (
        "Business",
        (
            Question("Rate per second", BUSINESS, "counter", "", "rate"),
            Question("Total", BUSINESS, "counter", "", "level"),
        ),
    ),
    (
        "Host",
        (
            Question(
                "Processor", "system.cpu.utilization", "gauge", "1", "level", "cpu.mode"
            ),
            Question(
                "Memory",
                "system.memory.usage",
                "up_down_counter",
                "By",
                "level",
                "system.memory.state",
            ),
            Question(
                "Network",
                "system.network.io",
                "counter",
                "By",
                "rate",
                "network.io.direction",
            ),
            Question(
                "Disk", "system.disk.io", "counter", "By", "rate", "disk.io.direction"
            ),
            Question(
                "Process memory", "process.memory.usage", "up_down_counter", "By",
                "level", "process.pid",
            ),
        ),
    ),
)  # fmt: skip
