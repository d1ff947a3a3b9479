"""Rules 4, 19 and 20: what fails each time is left alone, what waits is bounded."""

import logging
from array import array

import pytest

from probekit import notice as notices
from probekit.delivery.backlog import Backlog, size_of
from probekit.delivery.courier import Courier, describe
from probekit.histogram import Histogram
from probekit.model import Event, Harvest, Problem, Series, Span
from probekit.observer import Observer
from probekit.patience import LIMIT, OFF_S, Patience
from probekit.ports import DeliveryContract
from probekit.recording.probe import Wish
from probekit.recording.registry import Registry
from probekit.scrub import Scrubber
from probekit.scrub.scrubber import FAILED

pytestmark = pytest.mark.faults


class Clock:
    now_s = 0.0

    def monotonic_s(self):
        return self.now_s

    def wall_ns(self):
        return int(self.now_s * 1e9)


class Nasty(Exception):
    """Cannot be shown at all."""

    def __str__(self):
        raise RuntimeError("no words")

    __repr__ = __str__


@pytest.fixture
def told(caplog):
    """Lines to the logger, from a book that knows nothing yet."""
    notices._last_told_s.clear()
    caplog.set_level(logging.WARNING, "probekit")
    yield lambda: [record.getMessage() for record in caplog.records]
    notices._last_told_s.clear()


@pytest.fixture(params=[ValueError, Nasty])
def failing(request):
    """A part that fails each time, however its error looks, and counts how often."""
    calls = []

    def fail(*_):
        calls.append(1)
        raise request.param("no")

    fail.calls = calls
    return fail


def in_time(monkeypatch, part, seconds):
    """Let so much time pass for *part*'s patience."""
    clock = Clock()
    clock.now_s = part._clock.monotonic_s() + seconds
    monkeypatch.setattr(part, "_clock", clock)


def test_an_observe_callback_that_fails_each_time_rests(failing, told, monkeypatch):
    """Five times, then not for five minutes, then once more; its neighbour works on."""
    observers, seen = Registry().observers, []
    observers.add(failing)
    observers.add(seen.append)
    for _ in range(20):
        observers.harvest(Harvest())
    rests = len(failing.calls)
    in_time(monkeypatch, observers._asked[0][1], OFF_S)
    observers.harvest(Harvest())

    assert (LIMIT, LIMIT + 1) == (rests, len(failing.calls))
    assert 21 == len(seen)
    assert 2 == len(told())
    assert "rests for 5 minutes" in told()[-1]


def test_a_scrubber_that_fails_each_time_rests_and_no_text_is_kept(failing, told):
    """What it should have cleaned does not get through because it is off."""
    scrubber = Scrubber(extra=[failing])

    assert {FAILED} == {scrubber.text("a text") for _ in range(20)}
    assert LIMIT == len(failing.calls)
    assert 2 == len(told())


def test_error_if_that_fails_each_time_rests_and_calls_are_counted(failing, told):
    """All of them, as no errors."""
    registry = Registry()
    judged = Wish(name="f", error_if=failing, registry=registry).grant(lambda: 1)
    assert [1] * 20 == [judged() for _ in range(20)]
    counts = [len(values) for _, values in registry.drain().raw]

    assert ([20], LIMIT) == (counts, len(failing.calls))
    assert 2 == len(told())


class Failing:
    """A foreign exporter with a mind of its own."""

    contract = DeliveryContract()

    def __init__(self, fail):
        self.send = fail

    def close(self):
        """Nothing is open."""


class Cursors:
    """One parcel waits for ever."""

    buffer_id = "b"

    def __init__(self):
        self.errors = []

    def next_batch(self, *_, **__):
        return [Event(0, "e", number=1)]

    def note_error(self, _, text):
        self.errors.append(text)


def test_an_exporter_that_fails_each_time_rests_and_its_data_is_kept(failing, told):
    """Five tries with growing pauses, then none for five minutes, hurry as one may."""
    clock, cursors = Clock(), Cursors()
    courier = Courier("x", Failing(failing), cursors, clock=clock, draw=lambda: 1.0)
    waits_s = 0.0
    while len(failing.calls) < LIMIT:
        clock.now_s += waits_s
        waits_s = courier.step()
    courier.hurry()
    clock.now_s += OFF_S - 1
    courier.step()
    rested = len(failing.calls)
    clock.now_s += 1
    courier.step()

    assert (OFF_S, LIMIT, LIMIT + 1) == (waits_s, rested, len(failing.calls))
    assert LIMIT + 1 == len(cursors.errors)
    assert any("rests" in line for line in told())


def test_an_error_that_cannot_be_shown_is_described_nevertheless():
    """By its type."""
    assert "Nasty: <message not available>" == describe(Nasty())


def test_one_line_for_each_cause_and_minute(told, monkeypatch):
    """However often it happens, and again after the minute."""
    now = [1000.0]
    monkeypatch.setattr(notices.time, "monotonic", lambda: now[0])
    for _ in range(1000):
        notices.notice("one", "it failed")
        notices.notice("two", "it failed too")
    now[0] += notices.INTERVAL_S
    notices.notice("one", "it failed")

    assert ["it failed", "it failed too", "it failed"] == told()


@pytest.mark.row("S1")
def test_no_secret_is_told_whatever_an_error_quotes(told):
    """An exporter's error may hold its URL; the log does not."""
    patience = Patience("x", "sending")
    url = "otlp://user:hunter2@h:1/?token=hunter3"
    for _ in range(LIMIT):
        patience.failed(RuntimeError(f"cannot connect to {url}"))
    notices.notice("y", f"{OSError(url)!r}")

    assert 3 == len(told())
    assert not any("hunter" in line for line in told())


def event(number, size):
    return Event(number, "e", {"n": number}, body="x" * size)


def span(number, size):
    return Span("0" * 32, f"{number:016x}", "", "x" * size, 1, 1, 2)


@pytest.mark.row("D1")
def test_what_waits_for_the_disk_is_bounded_in_bytes_and_every_loss_counted():
    """Spans go first, then the oldest events; the newest are there."""
    backlog = Backlog(bytes_limit=1 << 20)
    for turn in range(50):
        harvest = Harvest()
        harvest.events = [event(turn * 10 + n, 4000) for n in range(10)]
        harvest.spans = [span(turn * 10 + n, 900) for n in range(10)]
        backlog.put(harvest)

        assert backlog.size_bytes <= 1 << 20
    taken = backlog.take()
    events, spans = len(taken.events), len(taken.spans)

    assert events > 200
    assert list(range(500 - events, 500)) == [
        each.time_unix_ns for each in taken.events
    ]
    assert 500 - events == taken.losses["events", "disk"]
    assert 500 - spans == taken.losses["spans", "disk"]
    assert 0 == backlog.size_bytes


@pytest.mark.row("D1")
def test_numbers_and_errors_are_never_cut():
    """They merge: a sum is a sum, one entry a problem, its count exact."""
    backlog = Backlog(bytes_limit=1)
    table = [Series("c", "counter"), Series("h", "histogram")]
    for turn in range(300):
        harvest = Harvest(series=table)
        harvest.sum_ids, harvest.sum_values = array("I", [0]), array("d", [2.0])
        harvest.sum_counts = array("Q", [1])
        harvest.binned = [(1, Histogram.of([0.1]))]
        harvest.problems = [
            Problem(f"{n:016x}", "E", f"m{turn}", "f", "s" * 9000, 10 + turn, 20, 3)
            for n in range(2)
        ]
        backlog.put(harvest)
    taken = backlog.take()

    assert [600.0] == list(taken.sum_values)
    assert 300 == taken.binned[0][1].count
    assert [(900, 10, "m299")] * 2 == [
        (each.count, each.first_seen_unix_ns, each.message) for each in taken.problems
    ]
    assert {} == taken.losses


def test_the_estimate_grows_with_what_is_in_a_record():
    """Text in attributes, lists, bodies, moments and links."""
    small = size_of(Event(0, "e"))

    assert small + 5000 < size_of(Event(0, "e", {"a": "x" * 5000}))
    assert small + 5000 < size_of(Event(0, "e", {"a": ["x" * 2500] * 2}))
    assert small + 5000 <= size_of(Event(0, "e", body="x" * 5000))


@pytest.mark.row("R1")
def test_a_reading_that_is_no_number_is_counted_not_stored():
    """From a source as from a callback."""
    observer = Observer()
    observer.gauge("g", float("nan"))
    harvest = observer.harvest()

    assert ([], {("metrics", "invalid"): 1}) == (
        list(harvest.gauge_ids),
        harvest.losses,
    )
