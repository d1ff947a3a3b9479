import math

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    ExponentialBucketHistogramAggregation,
    View,
)

from probekit.integrations.opentelemetry.metrics import DELTAS
from probekit.integrations.opentelemetry.points import Converter, histogram_of
from probekit.observer import SeriesTable
from probekit.scrub import Scrubber


class Meter:
    """An SDK whose metrics are collected by hand."""

    def __init__(self, temporality, views=()):
        self.reader = InMemoryMetricReader(preferred_temporality=temporality)
        self.provider = MeterProvider(
            [self.reader], views=views, shutdown_on_exit=False
        )
        self.meter = self.provider.get_meter("shop")
        self.converter = Converter(SeriesTable())

    def harvest(self):
        data = self.reader.get_metrics_data()
        return self.converter.harvest(data, Scrubber())

    def sums(self):
        harvest = self.harvest()
        return {
            (harvest.series[number].name, harvest.series[number].kind): value
            for number, value in zip(harvest.sum_ids, harvest.sum_values, strict=True)
        }


@pytest.fixture(params=["delta", "cumulative"])
def shop(request):
    made = Meter(DELTAS if request.param == "delta" else None)
    yield made
    made.provider.shutdown()


def test_sums_arrive_as_what_came_since_the_last_time(shop):
    """Whatever the reader's temporality is."""
    orders = shop.meter.create_counter("orders", unit="{order}")
    carts = shop.meter.create_up_down_counter("carts")
    orders.add(5)
    carts.add(3)
    first = shop.sums()
    orders.add(2)
    carts.add(-1)

    assert {("orders", "counter"): 5, ("carts", "up_down_counter"): 3} == first
    assert {
        ("orders", "counter"): 2,
        ("carts", "up_down_counter"): -1,
    } == shop.sums()


def test_histograms_arrive_as_what_came_since_the_last_time(shop):
    times = shop.meter.create_histogram(
        "render", unit="s", explicit_bucket_boundaries_advisory=[0.1, 0.25, 1.0]
    )
    for value in (0.05, 0.25, 0.25):
        times.record(value)
    ((_, first),) = shop.harvest().binned
    times.record(0.7)
    ((_, second),) = shop.harvest().binned

    assert (3, 1, 3) == (first.count, first.at_or_below(0.1), first.at_or_below(0.25))
    assert (1, 0.7) == (second.count, pytest.approx(second.sum))
    assert 1 == sum(second.bins.values())


def test_gauges_arrive_with_their_last_value(shop):
    depth = shop.meter.create_gauge("depth")
    depth.set(7)
    depth.set(4)
    harvest = shop.harvest()

    assert [4.0] == list(harvest.gauge_values)
    assert "gauge" == harvest.series[harvest.gauge_ids[0]].kind


def test_counts_at_the_sdks_own_bounds_stay_exact():
    made = Meter(DELTAS)
    times = made.meter.create_histogram("size")
    values = [0, 3, 5, 5.1, 80, 100, 999, 20_000]
    for value in values:
        times.record(value)
    ((_, found),) = made.harvest().binned
    made.provider.shutdown()

    for bound in (5, 10, 75, 100, 1_000, 10_000):
        assert sum(value <= bound for value in values) == found.at_or_below(bound)
    assert (0, 20_000) == (found.min, found.max)


def test_exponential_histograms_keep_count_sum_and_nearly_all_of_their_shape():
    made = Meter(
        DELTAS,
        [
            View(
                instrument_name="*", aggregation=ExponentialBucketHistogramAggregation()
            )
        ],
    )
    times = made.meter.create_histogram("t", unit="s")
    values = [n / 100 for n in range(200)]
    for value in values:
        times.record(value)
    ((_, found),) = made.harvest().binned
    made.provider.shutdown()

    assert len(values) == found.count == sum(found.bins.values())
    assert math.isclose(sum(values), found.sum)
    assert math.isclose(1.79, found.quantile(0.95), rel_tol=0.1)


def test_an_empty_point_is_no_point():
    class Point:
        count = 0

    assert 0 == histogram_of(Point).count


def test_attributes_are_scrubbed_before_they_name_a_series():
    made = Meter(DELTAS)
    made.meter.create_counter("logins").add(1, {"password": "hunter2", "n": 1})
    harvest = made.harvest()
    made.provider.shutdown()
    (number,) = harvest.sum_ids

    assert "hunter2" not in str(harvest.series[number])
    assert ("n", 1) in harvest.series[number].attributes
