"""A registry of its own for each test, and what it has recorded in a readable form."""

import pytest

import probekit
from probekit.recording import probe as probes
from probekit.recording.functions import counted
from probekit.recording.probe import Wish
from probekit.recording.registry import Registry
from probekit.recording.weave.weaver import CAN_WEAVE

# What is asked for first under the switch stays silent: load all before a test sets it.
for _name in probekit._SILENCED:
    getattr(probekit, _name)

WAYS = ("woven", "wrapped") if CAN_WEAVE else ("wrapped",)


class Recorded:
    """A harvest by metric name and attributes."""

    def __init__(self, harvest):
        self.harvest = harvest
        self.events = harvest.events
        self.problems = harvest.problems
        self.losses = harvest.losses

    def calls(self, **attributes):
        """How many calls each series of functions has, by (name, error type)."""
        found = {}
        for name, given, count in self.histograms():
            if name == "probekit.function.duration":
                key = given.get("code.function.name"), given.get("error.type")
                if attributes.items() <= given.items():
                    found[key] = found.get(key, 0) + count
        return found

    def histograms(self):
        series = self.harvest.series
        for series_id, values in self.harvest.raw:
            yield (
                series[series_id].name,
                dict(series[series_id].attributes),
                len(values),
            )
        for series_id, binned in self.harvest.binned:
            yield (
                series[series_id].name,
                dict(series[series_id].attributes),
                binned.count,
            )

    def count(self, name, **attributes):
        """Measurements of a histogram."""
        return sum(
            count
            for found, given, count in self.histograms()
            if found == name and attributes.items() <= given.items()
        )

    def sums(self, name):
        """Attributes -> delta of a counter."""
        harvest = self.harvest
        found = {}
        for series_id, value in zip(harvest.sum_ids, harvest.sum_values, strict=True):
            series = harvest.series[series_id]
            if series.name == name:
                key = series.attributes
                found[key] = found.get(key, 0) + value
        return found

    def gauges(self, name):
        """Attributes -> last value of a gauge."""
        harvest = self.harvest
        return {
            harvest.series[series_id].attributes: value
            for series_id, value in zip(
                harvest.gauge_ids,
                harvest.gauge_values,
                strict=True,
            )
            if harvest.series[series_id].name == name
        }


@pytest.fixture(autouse=True)
def _untold(monkeypatch):
    """Each test may tell the logger anew."""
    monkeypatch.setattr("probekit.notice._last_told_s", {})


@pytest.fixture
def registry():
    """A registry that nobody drains."""
    return Registry()


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """How functions are probed: by their own code, or by a wrapper around them."""
    if request.param == "wrapped":
        for maker in (probes, counted):
            monkeypatch.setattr(maker, "can_be_woven", lambda _: False)
    return request.param


@pytest.fixture
def probe(registry, way):
    """``probekit.probe`` that records into the test's own registry."""

    def probe(target=None, /, **wish):
        granted = Wish(registry=registry, **wish)
        return granted.grant if target is None else granted.grant(target)

    return probe


@pytest.fixture
def drained(registry):
    """Drain the test's registry."""
    return lambda: Recorded(registry.drain())
