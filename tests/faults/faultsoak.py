"""A receiver for hours of load: each record by its number, in one byte of memory."""

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
    """The regression line's rise of ``(seconds, value)`` pairs, for an hour."""
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in samples)
    return 3600 * rise / spread
