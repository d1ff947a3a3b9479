"""Prometheus' text, remote write and OTLP/JSON against each ecosystem's own client.

All contenders of a round show the same series, in shuffled order, in one process; a
ratio is the median over the rounds of (peer's time / our time). Both sides are warm.
"""

import random
import statistics
from dataclasses import replace

from encoding import RESOURCE, SERIES, counter_batch, histogram_batch, measure
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import (
    generate_latest as generate_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from table import Row, Table

from probekit.exporters.otlp.json_form import as_json
from probekit.exporters.otlp.metrics import SECONDS_BOUNDS, MetricsEncoder
from probekit.exporters.prometheus.snappy import packed
from probekit.exporters.prometheus.text import Exposition
from probekit.exporters.prometheus.write_request import WriteRequests
from probekit.model import Resource, Snapshot

KEYS = ("http_request_method", "http_response_status_code", "http_route")


def peer_counters(points):
    registry = CollectorRegistry()
    counter = Counter("shop_orders", "Orders.", KEYS, registry=registry)
    for point in points:
        counter.labels(*(str(value) for _, value in point.series.attributes)).inc(
            point.value
        )
    return registry


def peer_histograms(points):
    registry = CollectorRegistry()
    rng = random.Random(7)
    name = "http_server_request_duration_seconds"
    made = Histogram(name, "", KEYS, registry=registry, buckets=SECONDS_BOUNDS)
    for point in points:
        child = made.labels(*(str(value) for _, value in point.series.attributes))
        for _ in range(50):
            child.observe(rng.lognormvariate(-4, 1))
    return registry


def shown(text):
    """Samples of a document, without what only the peer writes."""
    return {
        (s.name, frozenset(s.labels.items())): s.value
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
        if not s.name.endswith("_created") and s.name != "target_info"
    }


def apart(batch):
    """*batch* with a route of its own for each series, as a buffer has it."""
    (window,) = batch.windows
    points = []
    for number, point in enumerate(window.points):
        told = {**dict(point.series.attributes), "http.route": f"/orders/{number}"}
        series = replace(point.series, attributes=tuple(sorted(told.items())))
        points.append(replace(point, series=series, total=point.value))
    return replace(batch, windows=(replace(window, points=tuple(points)),))


def run():
    counters, histograms = apart(counter_batch()), apart(histogram_batch())
    few, many = counters.windows[0].points, histograms.windows[0].points
    resource = Resource(RESOURCE)
    counter_page, histogram_page = Snapshot(resource, few), Snapshot(resource, many)
    exposition, requests = Exposition(), WriteRequests()
    registries = peer_counters(few), peer_histograms(many)
    assert shown(generate_latest(registries[0])) == shown(
        exposition.write(counter_page)
    )
    theirs = shown(generate_latest(registries[1]))
    ours = shown(exposition.write(histogram_page))
    assert theirs.keys() == ours.keys()
    metrics = MetricsEncoder()
    times = measure(
        {
            "text, counter": (lambda: exposition.write(counter_page), SERIES),
            "peer text, counter": (lambda: generate_latest(registries[0]), SERIES),
            "text, histogram": (lambda: exposition.write(histogram_page), SERIES),
            "peer text, histogram": (lambda: generate_latest(registries[1]), SERIES),
            "OpenMetrics, histogram": (
                lambda: exposition.write(histogram_page, openmetrics=True),
                SERIES,
            ),
            "peer OpenMetrics, histogram": (
                lambda: generate_openmetrics(registries[1]),
                SERIES,
            ),
            "remote write, histogram": (
                lambda: packed(requests.encode(histograms, histograms.windows)),
                SERIES,
            ),
            "OTLP/JSON, counter": (
                lambda: as_json("metrics", metrics.encode(counters)),
                SERIES,
            ),
        }
    )
    table = Table(
        "Prometheus and OTLP/JSON: encoding",
        note=f"{SERIES} series with 3 attributes; per series.",
    )
    for name in ("text, counter", "text, histogram", "OpenMetrics, histogram"):
        found = statistics.median(
            a / b for a, b in zip(times[f"peer {name}"], times[name], strict=True)
        )
        what = f"{name}: cheaper than prometheus_client"
        table.rows.append(Row(what, found, "x", 2, 1, lower_is_better=False))
    for name, found in times.items():
        note = f"best {min(found):,.0f} ns"
        table.rows.append(Row(name, statistics.median(found), note=note))
    return table
