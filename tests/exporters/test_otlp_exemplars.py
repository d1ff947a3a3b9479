"""A point of a histogram leads to the traces of the spans that lie behind it."""

import json

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from probekit.exporters.otlp.json_form import as_json
from probekit.exporters.otlp.metrics import MetricsEncoder
from probekit.histogram import Histogram
from probekit.model import Batch, Point, Resource, Series, Span, Window

S = 1_000_000_000
FUNCTION = Series(
    "probekit.function.duration", "histogram", "s", (("code.function.name", "pay"),)
)
OTHER = Series(
    "probekit.function.duration",
    "histogram",
    "s",
    (("code.function.name", "pay"), ("error.type", "ValueError")),
)


def span(number, name="pay", end_s=15.0, took_s=0.25, **more):
    return Span(
        f"{number:032x}", f"{number:016x}", "", name, 1,
        int((end_s - took_s) * S), int(end_s * S),
        {"code.function.name": name, "extra": 1, **more},
    )  # fmt: skip


def batch(*spans, points=(FUNCTION,)):
    window = Window(
        1, 10 * S, 20 * S, [Point(each, Histogram.of([0.25])) for each in points]
    )
    return Batch("b" * 32, Resource(), [window], (), spans)


def points_of(batch):
    request = ExportMetricsServiceRequest.FromString(MetricsEncoder().encode(batch))
    (metric,) = request.resource_metrics[0].scope_metrics[0].metrics
    return list(metric.histogram.data_points)


def test_a_span_that_carries_the_attributes_of_a_series_is_its_example():
    (point,) = points_of(batch(span(7)))
    (exemplar,) = point.exemplars

    assert (f"{7:032x}", f"{7:016x}") == (
        exemplar.trace_id.hex(),
        exemplar.span_id.hex(),
    )
    assert (0.25, 15 * S) == (exemplar.as_double, exemplar.time_unix_nano)
    assert 1 == point.count
    assert 0.25 == point.max


def test_other_functions_other_outcomes_and_other_times_are_no_examples():
    plain, failed = points_of(
        batch(
            span(1, "ship"), span(2, end_s=10.0), span(3, end_s=20.1),
            span(4, **{"error.type": "KeyError"}), span(5),
            points=(FUNCTION, OTHER),
        )
    )  # fmt: skip

    assert [5] == [int(each.trace_id.hex(), 16) for each in plain.exemplars]
    assert [] == list(failed.exemplars)


def test_the_slowest_few_are_taken():
    spans = [span(number, took_s=number / 10) for number in range(1, 10)]
    (point,) = points_of(batch(*spans))

    assert [0.6, 0.7, 0.8, 0.9] == [each.as_double for each in point.exemplars]


def test_without_spans_the_bytes_are_as_they_were():
    assert MetricsEncoder().encode(batch()) == MetricsEncoder().encode(
        batch(span(1, "ship"))
    )


def test_exemplars_have_a_json_form():
    document = json.loads(as_json("metrics", MetricsEncoder().encode(batch(span(7)))))
    (metric,) = document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    (exemplar,) = metric["histogram"]["dataPoints"][0]["exemplars"]

    assert {
        "timeUnixNano": str(15 * S),
        "asDouble": 0.25,
        "spanId": f"{7:016x}",
        "traceId": f"{7:032x}",
    } == exemplar
