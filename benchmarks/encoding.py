"""Encoding of a batch, per record, against OpenTelemetry's own encoder and pystatsd.

All contenders of a round encode the same content, in shuffled order, in one process;
a ratio is the median over the rounds of (peer's time / our time). Our series cache is
warm, as it is in a process that runs for longer than one window.

Twice: batches as they are usual, and 10,000 records at once, for which the goals were
set. A small batch finds little of what it needs in the processor's caches: the other
contenders have been there since.
"""

import random
import statistics
import time

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import (
    Histogram as HistogramData,
)
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode
from table import Row, Table

from probekit._version import __version__
from probekit.exporters.jsonlines import JsonLines
from probekit.exporters.otlp.exporter import _gzipped
from probekit.exporters.otlp.metrics import SECONDS_BOUNDS, MetricsEncoder
from probekit.exporters.otlp.traces import encode_traces
from probekit.exporters.statsd.encoding import StatsdLines
from probekit.histogram import Histogram
from probekit.model import Batch, Point, Resource, Series, Span, Window

ROUNDS = 25
SERIES = 300
SPANS = 200
MANY = 10_000
MANY_ROUNDS = 9
START, END = 1_700_000_000_000_000_000, 1_700_000_010_000_000_000
RESOURCE = {"service.name": "shop", "host.name": "web-1", "process.pid": 4711}
SCOPE = InstrumentationScope("probekit", __version__)


def attributes_of(number):
    return {
        "http.request.method": "GET",
        "http.route": f"/orders/{number % 50}",
        "http.response.status_code": 200 + number % 5,
    }


def frozen(number):
    return tuple(sorted(attributes_of(number).items()))


def counter_batch(series=SERIES):
    points = [
        Point(
            Series("shop.orders", "counter", "{order}", frozen(n), "Orders."),
            float(n),
            series_id=n + 1,
        )
        for n in range(series)
    ]
    return Batch("0" * 32, Resource(RESOURCE), (Window(1, START, END, points),))


def histogram_batch():
    rng = random.Random(7)
    points = [
        Point(
            Series("http.server.request.duration", "histogram", "s", frozen(n)),
            Histogram.of([rng.lognormvariate(-4, 1) for _ in range(50)]),
            series_id=SERIES + n + 1,
        )
        for n in range(SERIES)
    ]
    return Batch("0" * 32, Resource(RESOURCE), (Window(1, START, END, points),))


def span_batch(count=SPANS):
    spans = [
        Span(
            f"{n + 1:032x}",
            f"{n + 1:016x}",
            f"{n + 2:016x}",
            "GET /orders/<id>",
            2,
            START + n,
            END + n,
            attributes_of(n),
            status=1,
        )
        for n in range(count)
    ]
    return Batch("0" * 32, Resource(RESOURCE), spans=spans)


def sdk_metrics(data):
    metric = Metric("m", "", "s", data)
    return MetricsData(
        [
            ResourceMetrics(
                SdkResource(RESOURCE),
                [ScopeMetrics(SCOPE, [metric], "")],
                "",
            ),
        ]
    )


def sdk_counters(series=SERIES):
    return sdk_metrics(
        Sum(
            [
                NumberDataPoint(attributes_of(n), START, END, float(n))
                for n in range(series)
            ],
            AggregationTemporality.DELTA,
            is_monotonic=True,
        )
    )


def sdk_histograms(batch):
    points = [
        HistogramDataPoint(
            dict(point.series.attributes),
            START,
            END,
            point.value.count,
            point.value.sum,
            point.value.counts_between(SECONDS_BOUNDS),
            SECONDS_BOUNDS,
            point.value.min,
            point.value.max,
        )
        for point in batch.windows[0].points
    ]
    return sdk_metrics(HistogramData(points, AggregationTemporality.DELTA))


def sdk_spans(count=SPANS):
    resource = SdkResource(RESOURCE)

    def context(n):
        return SpanContext(n, n, is_remote=False, trace_flags=TraceFlags(1))

    return [
        ReadableSpan(
            "GET /orders/<id>",
            context(n + 1),
            context(n + 2),
            resource,
            attributes_of(n),
            kind=SpanKind.SERVER,
            status=Status(StatusCode.OK),
            start_time=START + n,
            end_time=END + n,
            instrumentation_scope=SCOPE,
        )
        for n in range(count)
    ]


def statsd_client():
    """pystatsd's pipeline: its encoder without the socket."""
    from statsd import StatsClient

    pipe = StatsClient("127.0.0.1", 8125, prefix="app").pipeline()

    def encode():
        for n in range(SERIES):
            pipe.incr(f"shop.orders.route.{n}", n)
        text = "\n".join(pipe._stats)
        pipe._stats.clear()
        return text.encode()

    return encode


def check_equal(counters, spans):
    """What is compared must say the same: number of records, names, attributes."""
    ours = ExportMetricsServiceRequest.FromString(MetricsEncoder().encode(counters))
    theirs = encode_metrics(sdk_counters())
    get = lambda m: m.resource_metrics[0].scope_metrics[0].metrics[0].sum  # noqa: E731
    assert len(get(ours).data_points) == len(get(theirs).data_points) == SERIES
    by_key = lambda point: sorted(point.attributes, key=lambda a: a.key)  # noqa: E731
    for a, b in zip(get(ours).data_points, get(theirs).data_points, strict=True):
        assert (by_key(a), a.as_double) == (by_key(b), b.as_double)
    mine = ExportTraceServiceRequest.FromString(encode_traces(spans))
    other = encode_spans(sdk_spans())
    for a, b in zip(
        mine.resource_spans[0].scope_spans[0].spans,
        other.resource_spans[0].scope_spans[0].spans,
        strict=True,
    ):
        assert (a.span_id, a.name, sorted(a.attributes, key=lambda x: x.key)) == (
            b.span_id,
            b.name,
            sorted(b.attributes, key=lambda x: x.key),
        )


def measure(contenders, count=ROUNDS):
    """Name → nanoseconds per record, one list entry a round; all rounds interleaved."""
    times = {name: [] for name in contenders}
    for encode, _ in contenders.values():
        encode()
    for _ in range(count):
        order = list(contenders)
        random.shuffle(order)
        for name in order:
            encode, records = contenders[name]
            began = time.perf_counter_ns()
            encode()
            times[name].append((time.perf_counter_ns() - began) / records)
    return times


def at_once():
    """The times of 10,000 points, and of as many spans."""
    counters, spans = counter_batch(MANY), span_batch(MANY)
    theirs_counters, theirs_spans = sdk_counters(MANY), sdk_spans(MANY)
    metrics = MetricsEncoder()
    return measure(
        {
            "OTLP counters, at once": (lambda: metrics.encode(counters), MANY),
            "OTel SDK counters, at once": (
                lambda: encode_metrics(theirs_counters).SerializeToString(),
                MANY,
            ),
            "OTLP spans, at once": (lambda: encode_traces(spans), MANY),
            "OTel SDK spans, at once": (
                lambda: encode_spans(theirs_spans).SerializeToString(),
                MANY,
            ),
        },
        MANY_ROUNDS,
    )


def run():
    counters, histograms, spans = counter_batch(), histogram_batch(), span_batch()
    check_equal(counters, spans)
    metrics, json, statsd = MetricsEncoder(), JsonLines(), StatsdLines(prefix="app.")
    theirs_counters, theirs_spans = sdk_counters(), sdk_spans()
    theirs_histograms = sdk_histograms(histograms)
    body = metrics.encode(counters)
    contenders = {
        "OTLP counters": (lambda: metrics.encode(counters), SERIES),
        "OTel SDK counters": (
            lambda: encode_metrics(theirs_counters).SerializeToString(),
            SERIES,
        ),
        "OTLP histograms": (lambda: metrics.encode(histograms), SERIES),
        "OTel SDK histograms": (
            lambda: encode_metrics(theirs_histograms).SerializeToString(),
            SERIES,
        ),
        "OTel SDK histograms, cut from the same bins": (
            lambda: encode_metrics(sdk_histograms(histograms)).SerializeToString(),
            SERIES,
        ),
        "OTLP counters, new series": (
            lambda: MetricsEncoder().encode(counters),
            SERIES,
        ),
        "OTLP spans": (lambda: encode_traces(spans), SPANS),
        "OTel SDK spans": (
            lambda: encode_spans(theirs_spans).SerializeToString(),
            SPANS,
        ),
        "gzip of the counters": (lambda: _gzipped(body), SERIES),
        "JSON lines, counters": (lambda: json.document(counters), SERIES),
        "JSON lines, histograms": (lambda: json.document(histograms), SERIES),
        "JSON lines, spans": (lambda: json.document(spans), SPANS),
        "StatsD counters": (lambda: statsd.chunks(counters), SERIES),
        "StatsD histograms": (lambda: statsd.chunks(histograms), SERIES),
        "pystatsd counters": (statsd_client(), SERIES),
    }
    times = measure(contenders) | at_once()
    table = Table(
        "Encoding a batch",
        note=f"{SERIES} series with 3 attributes, {SPANS} spans with 3 attributes; "
        f"median of {ROUNDS} shuffled rounds, per record. At once: {MANY:,} of them.",
    )

    def ratio(peer, ours, goal, floor):
        found = statistics.median(
            a / b for a, b in zip(times[peer], times[ours], strict=True)
        )
        table.rows.append(
            Row(
                f"{ours}: cheaper than {peer}",
                found,
                "x",
                goal,
                floor,
                lower_is_better=False,
            )
        )

    ratio("OTel SDK counters, at once", "OTLP counters, at once", 13, 8)
    ratio("OTel SDK spans, at once", "OTLP spans, at once", 20, 8)
    ratio("OTel SDK counters", "OTLP counters", None, None)
    ratio("OTel SDK spans", "OTLP spans", None, None)
    ratio("OTel SDK histograms", "OTLP histograms", None, None)
    # Its points hold buckets that are cut; ours are cut from some forty bins each time.
    ratio("OTel SDK histograms, cut from the same bins", "OTLP histograms", None, None)
    ratio("OTel SDK counters", "OTLP counters, new series", None, None)
    ratio("pystatsd counters", "StatsD counters", None, None)
    for name, found in times.items():
        table.rows.append(
            Row(
                name,
                statistics.median(found),
                note=f"best {min(found):,.0f} ns",
            )
        )
    return table
