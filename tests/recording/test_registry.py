"""The registry loses nothing, waits for nobody, and stays small."""

import contextlib
import gc
import signal
import sys
import threading
import time

import pytest

from probekit.model import Span
from probekit.recording import registry as registry_module
from probekit.recording.instruments import Counter, Gauge, Histogram, instrument
from probekit.recording.quiet import silence_thread, suppressed
from probekit.recording.watch import LENGTH_LIMIT, Watch


@pytest.fixture
def switching_often():
    """Threads change every 10 µs."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_no_update_is_lost_under_threads(registry, probe, switching_often):
    """Four threads record while one drains and another folds."""
    orders = instrument(Counter, "orders", registry=registry)
    bound = orders.bind({"plan": "pro"})
    values = instrument(Histogram, "values", registry=registry)
    each, threads = 4000, 4

    @probe(name="work")
    def work(n):
        if n % 100 == 0:
            raise KeyError(n)

    def run():
        for n in range(each):
            with contextlib.suppress(KeyError):
                work(n)
            bound.add(1)
            orders.add(1, {"plan": "free"})
            values.record(n)

    harvests, over = [], threading.Event()

    def drain():
        while not over.is_set():
            harvests.append(registry.drain())
            registry.compact()

    recording = [threading.Thread(target=run) for _ in range(threads)]
    drainer = threading.Thread(target=drain)
    for thread in [*recording, drainer]:
        thread.start()
    for thread in recording:
        thread.join()
    over.set()
    drainer.join()
    harvests.append(registry.drain())

    counts = {}
    for harvest in harvests:
        for series_id, chunk in harvest.raw:
            counts[series_id] = counts.get(series_id, 0) + len(chunk)
        for series_id, binned in harvest.binned:
            counts[series_id] = counts.get(series_id, 0) + binned.count
        for series_id, value in zip(harvest.sum_ids, harvest.sum_values, strict=True):
            counts[series_id] = counts.get(series_id, 0) + value
    total = each * threads
    by_name = {}
    for series_id, count in counts.items():
        series = registry.table.series[series_id]
        key = (
            series.name,
            dict(series.attributes).get("plan"),
            dict(series.attributes).get("error.type"),
        )
        by_name[key] = count

    assert {
        ("probekit.function.duration", None, None): total * 0.99,
        ("probekit.function.duration", None, "KeyError"): total * 0.01,
        ("orders", "pro", None): total,
        ("orders", "free", None): total,
        ("values", None, None): total,
    } == by_name
    problems = [p.count for harvest in harvests for p in harvest.problems]
    assert total * 0.01 == sum(problems)


def test_recording_from_a_signal_handler_inside_a_drain_loses_nothing(registry, probe):
    """Nor does draining there: it yields nothing and does not wait for itself."""
    counter = instrument(Counter, "signals", registry=registry).bind()
    work = probe(name="work")(lambda: None)
    seen, nested = 0, []

    def handler(*_):
        nonlocal seen
        seen += 1
        counter.add(1)
        work()
        nested.append(registry.drain())

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    values = instrument(Histogram, "values", registry=registry).bind()
    harvests, recorded = [], 0
    end_s = time.monotonic() + 10
    try:
        while seen < 40 and time.monotonic() < end_s:
            for _ in range(3000):
                values.record(1.0)
            recorded += 3000
            harvests.append(registry.drain())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    harvests += [*nested, registry.drain()]

    assert seen >= 40
    assert seen == sum(sum(harvest.sum_values) for harvest in harvests)
    sizes = {}
    for harvest in harvests:
        for series_id, chunk in harvest.raw:
            sizes[series_id] = sizes.get(series_id, 0) + len(chunk)
        for series_id, binned in harvest.binned:
            sizes[series_id] = sizes.get(series_id, 0) + binned.count
    assert {seen, recorded} == set(sizes.values())


def test_recording_from_del_and_gc_callbacks_works(registry, drained):
    """Neither locks."""
    counter = instrument(Counter, "ends", registry=registry).bind()

    class Thing:
        def __del__(self):
            counter.add(1)

    def callback(phase, info):
        counter.add(1000)

    gc.callbacks.append(callback)
    try:
        for _ in range(10):
            thing = Thing()
            thing.self = thing
        del thing
        gc.collect()
    finally:
        gc.callbacks.remove(callback)

    assert 10 == drained().sums("ends")[()] % 1000


def test_without_anybody_draining_memory_stays_bounded(registry, probe, monkeypatch):
    """Lists are folded on the way, and nothing is lost."""
    monkeypatch.setattr(registry_module, "REST_S", 0.0)
    monkeypatch.setattr(registry_module, "BUSY_REST_S", 0.0)
    work = probe(name="work")(lambda: None)
    counter = instrument(Counter, "orders", registry=registry).bind()
    longest = 0
    for _ in range(12_000):
        work()
        counter.add(1)
        longest = max(longest, *(len(handle.values) for handle in registry.handles))
    harvest = registry.drain()

    assert longest <= LENGTH_LIMIT
    assert [12_000] == list(harvest.sum_values)
    assert [12_000] == [binned.count for _, binned in harvest.binned]


def test_a_bound_counter_folds_itself_when_its_list_is_long(registry):
    """Also while the watch rests: with a pump that hangs."""
    registry.watch.rest_for(3600)
    counter = instrument(Counter, "orders", registry=registry).bind()
    gauge = instrument(Gauge, "depth", registry=registry).bind()
    for number in range(10_000):
        counter.add(1)
        gauge.set(number)

    assert all(len(handle.values) <= LENGTH_LIMIT for handle in registry.handles)
    harvest = registry.drain()
    assert ([10_000], [10_000]) == (list(harvest.sum_values), list(harvest.sum_counts))
    assert ([9999], [10_000]) == (
        list(harvest.gauge_values),
        list(harvest.gauge_counts),
    )


def test_a_fold_is_bounded_in_time(registry):
    """compact() takes a share and says what is left."""
    handle = instrument(Histogram, "values", registry=registry).handle(None)
    handle.values.extend([1.0] * 50_000)

    assert 30_000 == registry.compact(most=20_000)
    assert 10_000 == registry.compact(most=20_000)
    assert 0 == registry.compact(most=20_000)
    assert 50_000 == registry.drain().binned[0][1].count


def test_a_fold_does_not_wait_for_a_drain(registry):
    """An application thread finds the lock taken and goes on."""
    entered, leave = threading.Event(), threading.Event()

    def slow(observer):
        entered.set()
        leave.wait(10)

    registry.observe(slow)
    counter = instrument(Counter, "orders", registry=registry).bind()
    drainer = threading.Thread(target=registry.drain)
    drainer.start()
    assert entered.wait(10)
    for _ in range(3 * LENGTH_LIMIT):
        counter.add(1)
    assert 0 == registry.compact()
    waiting = len(registry.handles[0].values)
    leave.set()
    drainer.join()

    assert 3 * LENGTH_LIMIT == waiting


def test_events_and_spans_are_bounded_and_the_rest_is_counted(registry):
    """10,000 each between two drains."""
    span = Span("0" * 32, "0" * 16, "", "s", 1, 0, 1)
    for _ in range(10_050):
        registry.span(span)
    harvest = registry.drain()

    assert 10_000 == len(harvest.spans)
    assert {("spans", "queue_full"): 50} == harvest.losses
    assert not registry.drain()


def test_losses_add_up(registry, drained):
    """By signal and reason."""
    registry.loss("events", "why", 2)
    registry.loss("events", "why")
    registry.loss("spans", "why")

    assert {("events", "why"): 3, ("spans", "why"): 1} == drained().losses
    assert {} == drained().losses


def test_due_is_called_once_until_the_watch_is_set(registry, probe):
    """The first call of a process, then no more."""
    called = []

    def on_due():
        called.append(1)
        registry.watch.rest_for(3600)

    registry.on_due = on_due
    work = probe(lambda: None)
    counter = instrument(Counter, "orders", registry=registry).bind()
    for _ in range(5):
        counter.add(1)
        work()
    assert [1] == called
    registry.watch.trip()
    counter.add(1)
    work()

    assert [1, 1] == called


def test_a_due_that_fails_does_not_reach_the_application(registry, probe, drained):
    """It is tried again later, and the value is recorded."""
    registry.on_due = lambda: 1 / 0
    work = probe(name="work")(lambda: 7)

    assert 7 == work()
    assert registry.watch.is_resting()
    assert {("work", None): 1} == drained().calls()


def test_due_is_not_entered_twice_at_once(registry, probe, drained):
    """Probed code that runs inside it records and does not recurse."""
    depth = []
    work = probe(name="work")(lambda: None)

    def on_due():
        depth.append(1)
        work()

    registry.on_due = on_due
    work()

    assert [1] == depth
    assert {("work", None): 2} == drained().calls()


def test_suppressed_calls_are_not_recorded(registry, probe, drained):
    """Probes, errors, bound and unbound instruments, events; of this thread only."""
    work = probe(name="work")(lambda fail: 1 / 0 if fail else 0)
    counter = instrument(Counter, "orders", registry=registry)
    bound = counter.bind()

    def everything():
        work(fail=False)
        with pytest.raises(ZeroDivisionError):
            work(fail=True)
        counter.add(1)
        bound.add(1)

    other = threading.Thread(target=everything)
    with registry.suppress(), registry.suppress():
        assert suppressed()
        everything()
        registry.watch.rest_for(3600)
        everything()
        other.start()
        other.join()
    everything()
    recorded = drained()

    assert {("work", None): 2, ("work", "ZeroDivisionError"): 2} == recorded.calls()
    assert {(): 4} == recorded.sums("orders")
    assert 2 == sum(problem.count for problem in recorded.problems)
    assert registry.watch.is_resting()
    assert not suppressed()


def test_a_silenced_thread_makes_no_other_thread_pay(registry):
    """The flag is set, the watch is not held."""
    said = []

    def run():
        silence_thread()
        said.append((suppressed(), registry.watch.is_held))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert [(True, False)] == said


def test_switched_off_nothing_is_recorded_and_on_again_all_is(registry, probe, drained):
    """At run time."""
    work = probe(name="work")(lambda: 7)
    counter = instrument(Counter, "orders", registry=registry).bind()
    registry.enabled = False
    for _ in range(3):
        assert 7 == work()
        counter.add(1)
    assert not registry.drain()
    registry.enabled = True
    work()
    counter.add(1)
    recorded = drained()

    assert {("work", None): 1} == recorded.calls()
    assert {(): 1} == recorded.sums("orders")


def test_observers_are_asked_at_every_drain_and_one_failing_stops_nobody(
    registry,
    caplog,
):
    """It is told once a minute."""

    @registry.observe
    def failing_one(observer):
        raise LookupError("x")

    @registry.observe
    def depth(observer):
        observer.gauge("depth", 3)
        observer.total("seen", 10, since_start=True)

    registry.observe(depth)
    first, second = registry.drain(), registry.drain()

    assert ([3.0], [10.0]) == (list(first.gauge_values), list(first.sum_values))
    assert ([3.0], []) == (list(second.gauge_values), list(second.sum_values))
    assert 1 == sum("failing_one" in message for message in caplog.messages)
    registry.forget()
    assert [10.0] == list(registry.drain().sum_values)


def test_observe_wants_a_callable(registry):
    """ConfigError at once."""
    with pytest.raises(Exception, match=r"observe\(\) wants a callable, got int"):
        registry.observe(7)


def test_one_bad_series_does_not_cost_the_others(registry, drained, monkeypatch):
    """What cannot be harvested is a loss."""
    bad = instrument(Histogram, "bad", registry=registry)
    bad.record(1)
    instrument(Counter, "good", registry=registry).add(1)
    monkeypatch.setattr(
        type(bad.handle(None)),
        "harvest",
        lambda *_: 1 / 0,
    )
    recorded = drained()

    assert {(): 1} == recorded.sums("good")
    assert {("metrics", "internal_error"): 1} == recorded.losses


def test_decorating_again_and_again_leaves_one_series(registry, probe):
    """A closure made for each request shares its handle."""
    for _ in range(100):
        probe(name="inner")(lambda: 1)()

    assert 1 == len(registry.handles)
    assert 100 == registry.drain().binned[0][1].count


def test_a_watch_without_a_page_works_the_same(monkeypatch):
    """Where the kernel has no such pages."""
    hooks = []
    monkeypatch.setattr("probekit.recording.watch._wiped_page", lambda _length: None)
    monkeypatch.setattr("os.register_at_fork", lambda **kw: hooks.append(kw))
    watch = Watch()
    watch.rest_for(60)

    assert watch.survives_fork
    assert (True, 1) == (watch.is_resting(), watch.room[LENGTH_LIMIT - 1])
    hooks[0]["after_in_child"]()
    assert (False, 0, 0.0) == (watch.is_resting(), watch.room[0], watch.deadline[()])


def test_a_held_watch_rests_again_as_it_was_set():
    """Holds add up."""
    watch = Watch()
    watch.hold()
    watch.hold()
    watch.rest_for(60)
    assert (0, 0.0) == (watch.room[0], watch.deadline[()])
    watch.release()
    assert 0 == watch.room[0]
    watch.release()

    assert 1 == watch.room[0]
    assert watch.deadline[()] > time.perf_counter()


def test_a_fold_at_the_end_of_the_stack_leaves_everything_as_it_was(
    registry,
    monkeypatch,
):
    """No lock stays taken, no value is lost, the application sees nothing."""
    counter = instrument(Counter, "orders", registry=registry).bind()

    def no_stack(*_, **__):
        raise RecursionError

    with monkeypatch.context() as patched:
        patched.setattr("probekit.recording.handle.cleaned", no_stack)
        for _ in range(LENGTH_LIMIT + 10):
            counter.add(1)
    with monkeypatch.context() as patched:
        patched.setattr(registry, "_attend", no_stack)
        counter.add(1)

    assert [LENGTH_LIMIT + 11] == list(registry.drain().sum_values)


def test_callbacks_are_not_asked_between_two_regular_drains(registry):
    """They are the application's, and may take their time."""
    asked = []
    registry.observers.add(lambda observer: asked.append(1))
    registry.observers.is_early = True
    registry.drain()
    before = len(asked)
    registry.observers.is_early = False
    registry.drain()

    assert (0, 1) == (before, len(asked))
