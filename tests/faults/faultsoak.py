"""A receiver for hours of load: each record by its number, in one byte of memory."""

import statistics
from itertools import combinations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)

from receiver import Listener


class Tally(Listener):
    """Counts how often each numbered event came, and what the counter says in sum.

    Attributes:
        seen: Number of an event → how often it came.
        counted: Sum of what arrived of the counter ``soak.ops``.
    """

    def __init__(self):
        super().__init__()
        self.seen = bytearray(1 << 22)
        self.counted = 0

    def take(self, path, body):
        with self.lock:
            if path.endswith("/logs"):
                self._take_events(ExportLogsServiceRequest.FromString(body))
            else:
                super().take(path, body)
            self.bodies.clear()

    def _take_events(self, request):
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    if record.event_name != "soak":
                        continue
                    for pair in record.attributes:
                        if pair.key == "n":
                            self.seen[pair.value.int_value] += 1

    def take_metrics(self, request):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == "soak.ops":
                        for point in metric.sum.data_points:
                            self.counted += int(point.as_double or point.as_int)


def slope_per_hour(samples):
    """The rise of ``(seconds, value)`` pairs for an hour: the median of all pairs'.

    What leaks rises between most pairs. A line of least squares tells one step, as of
    a list that once was longer, as a slope of all the time.
    """
    return 3600 * statistics.median(
        (later - sooner) / (end_s - begin_s)
        for (begin_s, sooner), (end_s, later) in combinations(samples, 2)
    )
