"""Since when the running totals count: what cumulative backends call a start time."""

import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb2

from probekit.exporters.otlp.metrics import MetricsEncoder
from probekit.ports import DeliveryContract

CUMULATIVE = DeliveryContract(cumulative=True)


@pytest.fixture
def otlp(buffer):
    """What waits, as OTLP shows it: (start, end, value) of the counter's points."""
    encoder = MetricsEncoder(cumulative=True)
    buffer.store.register(["a"])

    def ask():
        message = metrics_pb2.ExportMetricsServiceRequest
        requests = [
            message.FromString(encoder.encode(parcel))
            for parcel in buffer.deliver("a", CUMULATIVE)
        ]
        return [
            (point.start_time_unix_nano, point.time_unix_nano, point.as_double)
            for request in requests
            for metric in request.resource_metrics[0].scope_metrics[0].metrics
            for point in metric.sum.data_points
        ]

    return ask


def test_a_total_starts_once_however_often_the_process_starts(
    buffer, clock, harvest, otlp
):
    found = []
    for _ in range(3):
        clock.advance(10)
        buffer.write(harvest(orders=2))
        found += otlp()
        buffer.lead()
        buffer.store.register(["a"])

    assert [2.0, 4.0, 6.0] == [value for _, _, value in found]
    assert 1 == len({start for start, _, _ in found})
    assert all(start < end for start, end, _ in found)


def test_a_gap_without_values_changes_no_start(buffer, clock, harvest, otlp):
    buffer.write(harvest(orders=2))
    first = otlp()
    clock.advance(7200)
    buffer.write(harvest(orders=1))
    second = otlp()

    assert first[0][0] == second[0][0]
    assert first[0][1] < second[0][1]


def test_the_start_is_not_after_the_first_window(buffer, clock, harvest):
    clock.advance(3)  # the grid's window began before the first value
    buffer.store.register(["a"])
    buffer.write(harvest(orders=2))
    (parcel,) = buffer.deliver("a", CUMULATIVE)

    assert parcel.windows[0].start_unix_ns >= parcel.began_unix_ns > 0


def test_a_clock_that_is_set_back_moves_the_start_once(buffer, clock, harvest, otlp):
    buffer.write(harvest(orders=2))
    before = otlp()
    clock.step(-86_400)
    found = []
    for _ in range(3):
        clock.advance(10)
        buffer.write(harvest(orders=2))
        found += otlp()
    starts = {start for start, _, _ in found}

    assert 1 == len(starts)
    assert max(starts) < before[0][0]
    assert all(start <= end for start, end, _ in found)


def test_a_new_buffer_is_a_reset(buffer, clock, harvest, otlp):
    buffer.write(harvest(orders=2))
    first = otlp()
    buffer.store.close()
    for path in buffer.path.parent.glob("buffer.db*"):
        if path.is_file():
            path.unlink()
    clock.advance(60)
    buffer.lead()
    buffer.store.register(["a"])
    del buffer._writer
    for path in buffer.directory.iterdir():
        path.unlink()
    buffer.write(harvest(orders=1))
    second = otlp()

    assert 1.0 == second[0][2]
    assert second[0][0] > first[0][0]
