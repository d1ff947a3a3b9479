"""Laws of the pump: it writes what it takes, and nothing ever leaves its thread."""

import threading
from contextlib import suppress

import pytest

from cuts import Late, cuts
from probekit.delivery.pump import FEW, Pump
from probekit.model import Event, Harvest


class FakeJournal:
    """Keeps harvests; fails while told to."""

    def __init__(self):
        self.frames = []
        self.error = None
        self.written = threading.Event()

    def append(self, harvest, *, ship_now=False):
        if self.error is not None:
            raise self.error
        self.frames.append((harvest, ship_now))
        harvest.is_written = True
        self.written.set()

    def position(self):
        return ("fake", len(self.frames)) if self.frames else None

    def names(self):
        return [event.name for harvest, _ in self.frames for event in harvest.events]


class FakeWatch:
    def __init__(self):
        self.beats = []

    def rest_until(self, perf_counter_s):
        self.beats.append(perf_counter_s)


class Source:
    """Harvests of one event each, as long as there are some."""

    def __init__(self, *names):
        self.waiting = list(names)

    def __call__(self):
        names, self.waiting = self.waiting, []
        return Harvest(events=[Event(0, name) for name in names])


def pump_of(source, journal, clock, **more):
    return Pump(source, journal, FakeWatch(), clock=clock, **more)


def test_a_stroke_writes_what_was_recorded(clock):
    """One drain, one frame."""
    journal = FakeJournal()

    assert pump_of(Source("a", "b"), journal, clock).stroke() is True
    assert journal.names() == ["a", "b"]


def test_nothing_recorded_writes_nothing_unless_somebody_flushes(clock):
    """An empty frame with the mark is how a flush is heard."""
    journal = FakeJournal()
    pump = pump_of(Source(), journal, clock)
    pump.stroke()
    pump.stroke(ship_now=True)

    assert [True] == [ship_now for _, ship_now in journal.frames]


def test_what_could_not_be_written_is_written_later_in_order(clock):
    """The disk is full for a while: nothing is lost, and it is not tried each time."""
    source, journal = Source("a"), FakeJournal()
    pump = pump_of(source, journal, clock)
    journal.error = OSError(28, "No space left on device")
    assert pump.stroke() is False
    source.waiting = ["b"]
    assert pump.stroke() is False
    journal.error = None
    source.waiting = ["c"]
    clock.now_s += 10

    assert pump.stroke() is True
    assert journal.names() == ["a", "b", "c"]


def test_what_could_not_be_written_waits_whatever_others_write_meanwhile(clock):
    """A durable event goes to the same journal, from the application's thread."""
    journal = FakeJournal()

    class Crossed(Source):
        def __call__(self):
            harvest = super().__call__()
            journal.frames.append((Harvest(events=[Event(0, "durable")]), False))
            return harvest

    pump = pump_of(Crossed("a"), journal, clock)
    journal.error = OSError("no space")
    assert pump.stroke() is False

    journal.error = None
    assert pump.stroke(ship_now=True) is True
    assert ["durable", "durable", "a"] == journal.names()


def test_a_stroke_never_raises(clock):
    """Whatever breaks inside."""

    def broken():
        raise KeyError("bug")

    assert pump_of(broken, FakeJournal(), clock).stroke() is False


def test_the_thread_writes_and_tells_the_watch():
    """It runs as a daemon and begins at once."""
    journal, source = FakeJournal(), Source("a")
    watch = FakeWatch()
    pump = Pump(source, journal, watch, flush_interval_s=0.01)
    assert pump.start() is True
    assert journal.written.wait(5)
    assert pump._thread.daemon
    assert pump._thread.name == "probekit-pump"
    source.waiting = ["b"]

    assert pump.stop(5.0) is True
    assert not pump.is_alive
    assert journal.names() == ["a", "b"]
    assert watch.beats


def test_five_errors_in_a_row_switch_the_thread_off(clock):
    """It does not burn the host's processor with its own trouble."""
    calls = []

    def broken():
        calls.append(None)
        raise KeyError("bug")

    pump = pump_of(broken, FakeJournal(), clock)
    for _ in range(20):
        if pump._patience.allows():
            pump._turn()

    assert len(calls) == 5
    clock.now_s += 301
    assert pump._patience.allows()


def test_a_redirected_pump_writes_everything_to_the_new_journal(clock):
    """When the buffer turns out to be unusable, memory takes over."""
    broken, memory = FakeJournal(), FakeJournal()
    broken.error = PermissionError("no")
    pump = pump_of(Source("a"), broken, clock)
    pump.stroke()
    pump.redirect(memory)
    pump.stroke()

    assert memory.names() == ["a"]


def test_the_pump_strokes_at_the_end_of_each_window(clock):
    """So that neighbouring windows are apart to the millisecond."""
    clock.base_ns = 9_900_000_000
    pump = pump_of(Source(), FakeJournal(), clock, interval_s=10.0)

    assert 0 < pump._wait_s() <= 0.1 + 1e-9


def test_after_a_huge_drain_the_next_comes_sooner(clock):
    """Memory stays bounded under a storm of records."""
    harvest = Harvest()
    harvest.sum_ids.append(0)
    harvest.sum_values.append(1.0)
    harvest.sum_counts.append(300_000)
    pump = pump_of(lambda: harvest, FakeJournal(), clock)
    pump.stroke()

    assert pump._wait_s() < 0.05


@pytest.mark.parametrize("per_s", [10, 100, 1_000, 3_000])
def test_few_records_wait_at_a_time_however_many_come(clock, per_s):
    """Each that waits is an object for the application's garbage collector."""
    drained = [0]
    pump = pump_of(
        lambda: Harvest(events=[Event(0, "e")] * drained[0]), FakeJournal(), clock
    )
    for _ in range(20):
        wait_s = pump._wait_s()
        drained[0] = round(per_s * wait_s)
        pump.stroke()

    assert drained[0] <= FEW
    assert wait_s == pytest.approx(min(pump.interval_s, FEW / per_s), rel=0.3)


def test_when_no_more_records_come_the_pump_rests_again(clock):
    """Each stroke costs something, and there is nothing to write."""
    harvest = Harvest(events=[Event(0, "e")] * 1000)
    pump = pump_of(lambda: harvest, FakeJournal(), clock)
    pump.stroke()
    hurried_s = pump._wait_s()
    harvest = Harvest()
    pump.stroke()

    assert hurried_s < 0.05 < pump._wait_s()


def test_who_saves_strokes_gets_no_early_ones(clock):
    harvest = Harvest(events=[Event(0, "e")] * 1000)
    pump = pump_of(lambda: harvest, FakeJournal(), clock)
    pump.interval_s = 1.0
    pump.stroke()

    assert 0.5 < pump._wait_s()


def test_early_strokes_are_foretold_and_regular_ones_keep_their_time(clock):
    """Callbacks of the application are asked at the regular ones only."""
    told = []
    harvest = Harvest(events=[Event(0, "e")] * 1000)
    pump = pump_of(
        lambda: harvest,
        FakeJournal(),
        clock,
        foretell=lambda *, early: told.append((clock.now_s, early)),
    )
    for _ in range(200):
        pump._turn()
        clock.now_s += pump._wait_s()
    pump.stroke()
    regular = [at_s for at_s, early in told[:-1] if not early]

    assert told[-1][1] is False
    assert len(regular) == pytest.approx(clock.now_s / pump.interval_s, rel=0.15)


class Whole(Source):
    """Hands over what waits at the very end of a drain, as a registry does."""

    def __call__(self):
        harvest = Harvest(events=[Event(0, name) for name in self.waiting])
        self.waiting = []
        return harvest


def test_a_stroke_that_a_signal_cuts_anywhere_loses_nothing_and_doubles_nothing(clock):
    """Without a thread it is the application's that writes."""
    for places, cut in enumerate(cuts()):
        source, journal = Whole("a", "b"), FakeJournal()
        pump = pump_of(source, journal, clock)
        with suppress(Late), cut:
            pump.stroke()
        source.waiting += ["c"]

        assert pump.stroke() is True
        assert ["a", "b", "c"] == journal.names(), places
    assert places > 5


def test_what_its_thread_could_not_write_at_last_is_tried_by_who_waits_for_it(clock):
    """Say because a signal has interrupted a write on the main thread, who waits."""

    class Refuses(FakeJournal):
        def append(self, harvest, *, ship_now=False):
            if threading.current_thread() is not threading.main_thread():
                raise BlockingIOError("another append is under way")
            super().append(harvest, ship_now=ship_now)

    journal, ends = Refuses(), []
    pump = pump_of(Source("a"), journal, clock)
    pump.start()

    assert pump.stop(5.0, lambda: ends.append(journal.names())) is True
    assert ["a"] == journal.names() == ends[-1]


def test_what_is_launched_runs_on_a_thread_of_its_own(clock):
    """The pump goes on, and writes no sooner for it."""
    ran, journal = threading.Event(), FakeJournal()
    names = []

    def work():
        names.append(threading.current_thread().name)
        ran.set()

    pump = pump_of(Source(), journal, clock, flush_interval_s=60)
    pump.start()
    pump.launch(work, "probekit-work")

    assert ran.wait(5)
    assert pump.stop(5.0) is True
    assert ["probekit-work"] == names
    assert [] == journal.frames


def test_what_cannot_have_a_thread_runs_on_the_pumps(clock, monkeypatch):
    """Somebody waits for it."""
    ran = threading.Event()
    pump = pump_of(Source(), FakeJournal(), clock, flush_interval_s=60)
    pump.start()

    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("probekit.thread.Thread.start", refuse)
    pump.launch(ran.set, "probekit-work")

    assert ran.wait(5)
    assert pump.stop(5.0) is True


@pytest.mark.row("D3")
def test_a_write_under_way_is_waited_for_and_what_came_after_it_written(clock):
    """The disk hangs at the end of the process: the network would not be waited for."""
    entered, go = threading.Event(), threading.Event()

    class Hanging(FakeJournal):
        def append(self, harvest, *, ship_now=False):
            entered.set()
            go.wait(5)
            super().append(harvest, ship_now=ship_now)

    journal, source = Hanging(), Source("before")
    pump = pump_of(source, journal, clock, flush_interval_s=0.001)
    pump.start()
    entered.wait(5)
    source.waiting.append("after")
    threading.Timer(0.02, go.set).start()

    assert pump.stop(0.0) is True
    assert ["before", "after"] == journal.names()


def test_what_collects_at_the_end_is_waited_for_longer_than_a_disk(clock, monkeypatch):
    """A callback that takes its time has its answer written; nobody else could."""
    monkeypatch.setattr("probekit.delivery.pump._DISK_S", 0.15)
    entered, go = threading.Event(), threading.Event()
    journal, source = FakeJournal(), Source("last")

    def slowly():
        entered.set()
        go.wait(5)
        return source()

    pump = pump_of(slowly, journal, clock, flush_interval_s=0.001)
    pump.start()
    entered.wait(5)
    threading.Timer(0.3, go.set).start()

    assert pump.stop(0.0) is True
    assert ["last"] == journal.names()
