"""What a job leaves behind: the heartbeat that alerts watch."""

import asyncio
import contextlib
import threading
from time import time

import pytest

import probekit
from probekit.errors import ConfigError
from probekit.recording.registry import REGISTRY


class ReportError(Exception):
    """What the job raises."""


@pytest.fixture(autouse=True)
def _empty_registry():
    REGISTRY.drain()
    yield
    REGISTRY.drain()


class Told:
    """One harvest, by metric name."""

    def __init__(self):
        self.harvest = harvest = REGISTRY.drain()
        self.durations = {
            harvest.series[id_].attributes: len(values)
            for id_, values in harvest.raw
            if harvest.series[id_].name == "probekit.job.duration"
        }
        self.gauges = {
            harvest.series[id_].name: value
            for id_, value in zip(harvest.gauge_ids, harvest.gauge_values, strict=True)
        }
        self.active = sum(
            value
            for id_, value in zip(harvest.sum_ids, harvest.sum_values, strict=True)
            if harvest.series[id_].name == "probekit.job.active"
        )


def test_a_run_that_succeeds_is_timed_and_tells_when():
    before_s = time()
    with probekit.job("nightly", attributes={"region": "eu"}):
        pass
    told = Told()

    attributes = (("probekit.job.name", "nightly"), ("region", "eu"))
    assert {attributes: 1} == told.durations
    assert 1 == told.gauges["probekit.job.success"]
    assert before_s <= told.gauges["probekit.job.last_success"] <= time()
    assert 0.0 == told.active


def test_a_run_that_fails_is_an_error_and_leaves_the_last_success_as_it_was():
    with pytest.raises(ReportError), probekit.job("nightly"):
        raise ReportError
    told = Told()
    (attributes,) = told.durations

    assert f"{__name__}.ReportError" == dict(attributes)["error.type"]
    assert {"probekit.job.success": 0} == told.gauges
    assert [1] == [problem.count for problem in told.harvest.problems]
    assert ["nightly"] == [
        event.attributes["probekit.job.name"] for event in told.harvest.events
    ]


@pytest.mark.parametrize(
    "error, success",
    [
        (SystemExit(), 1),
        (SystemExit(0), 1),
        (SystemExit(3), 0),
        (SystemExit("no"), 0),
        (KeyboardInterrupt(), 0),
        (asyncio.CancelledError(), 0),
    ],
)
def test_what_ends_a_job_from_outside_is_no_error(error, success):
    with pytest.raises(type(error)), probekit.job("nightly"):
        raise error
    told = Told()

    assert [(("probekit.job.name", "nightly"),)] == list(told.durations)
    assert success == told.gauges["probekit.job.success"]
    assert (success == 1) == ("probekit.job.last_success" in told.gauges)
    assert [] == told.harvest.problems


def test_a_run_under_way_is_active_and_ends_with_its_process():
    with probekit.job("nightly"):
        during = Told()

    assert 1.0 == during.active
    assert {True} == {
        series.ends_with_process
        for series in during.harvest.series
        if series.name == "probekit.job.active"
    }
    assert -1.0 == Told().active


def test_an_error_that_leaves_two_jobs_is_two_failures_and_one_error():
    with pytest.raises(ReportError), probekit.job("nightly"), probekit.job("part"):
        raise ReportError
    told = Told()

    assert 2 == len(told.durations)
    assert [1] == [problem.count for problem in told.harvest.problems]


def test_an_error_that_a_probe_has_seen_is_not_recorded_again():
    @probekit.probe
    def part():
        raise ReportError

    with pytest.raises(ReportError), probekit.job("nightly"):
        part()

    assert [1] == [problem.count for problem in Told().harvest.problems]


def test_each_of_many_failures_in_a_row_is_recorded():
    for _ in range(20):
        with contextlib.suppress(ReportError), probekit.job("nightly"):
            raise ReportError

    assert [20] == [problem.count for problem in Told().harvest.problems]


def test_a_decorated_function_runs_a_job_at_each_call_on_any_thread():
    @probekit.job("hourly")
    def refresh(number, *, double=False):
        """Refresh."""
        return number * 2 if double else number

    threads = [threading.Thread(target=refresh, args=(1,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 6 == refresh(3, double=True)
    assert ("refresh", "Refresh.") == (refresh.__name__, refresh.__doc__)
    assert {(("probekit.job.name", "hourly"),): 5} == Told().durations


def test_a_coroutine_is_a_job_until_it_ends():
    @probekit.job("async")
    async def refresh():
        await asyncio.sleep(0)
        return "fresh"

    async def both():
        async with probekit.job("outer"):
            return await asyncio.gather(refresh(), refresh())

    assert ["fresh"] * 2 == asyncio.run(both())
    assert {1, 2} == set(Told().durations.values())


def test_a_generator_is_refused_because_its_call_is_not_its_run():
    with pytest.raises(ConfigError, match=r"'nightly'.*lines.* is a generator"):

        @probekit.job("nightly")
        def lines():
            yield 1


@pytest.mark.parametrize("name", ["", "  ", None, 7, "x" * 5000])
def test_a_name_that_is_none_is_refused_with_its_value(name):
    with pytest.raises(ConfigError, match=r"job name .* must be text"):
        probekit.job(name)


def test_a_disabled_probekit_returns_the_function_itself(monkeypatch):
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")

    def refresh():
        pass

    assert probekit.job("hourly")(refresh) is refresh


def test_a_fault_of_ours_does_not_reach_the_job(monkeypatch):
    def fall(*_arguments, **_options):
        raise RuntimeError

    monkeypatch.setattr("probekit.recording.underway.job.histogram", fall)
    monkeypatch.setattr("probekit.recording.underway.job.up_down_counter", fall)
    with probekit.job("nightly"):
        done = True

    assert done
