"""Row R: whatever objects, signals and finalisers an application has, its calls work.

Each test records into a registry of its own. A hostile object refuses everything that
Python may ask it for, and notes what it was asked.
"""

import contextlib
import gc
import linecache
import os
import random
import signal
import sys
import threading

import pytest

from probekit.naming import NAME_LIMIT, VALUE_LIMIT
from probekit.recording.events import record_error, record_event
from probekit.recording.functions.timer import Timer
from probekit.recording.instruments import Counter, Gauge, Histogram
from probekit.recording.probe import Wish
from probekit.recording.registry import Registry
from probekit.scrub import Scrubber

pytestmark = pytest.mark.faults

ASKED = []
NEVER = {"__repr__", "__str__", "__len__", "__format__", "__iter__", "__getattr__"}
SPECIAL = [
    "__repr__", "__str__", "__len__", "__format__", "__iter__", "__bool__", "__hash__",
    "__eq__", "__lt__", "__int__", "__float__", "__index__", "__call__", "__enter__",
    "__getitem__", "__contains__", "__bytes__", "__fspath__", "__reduce_ex__",
]  # fmt: skip


def refusal(name, error):
    def refuse(*_, **__):
        ASKED.append(name)
        raise error("hostile")

    return refuse


def hostile(*bases, error=ValueError, keep=()):
    """A class that refuses every special method but those in *keep*."""
    body = {name: refusal(name, error) for name in SPECIAL if name not in keep}
    if "__getattr__" not in keep:
        body["__getattr__"] = refusal("__getattr__", error)
    body["secret"] = property(refusal("property", error))
    return type("Hostile", bases or (object,), body)


class Kit:
    """Everything that an application can call, on one registry."""

    def __init__(self):
        self.registry = Registry()
        self.counter = Counter("c", registry=self.registry)
        self.gauge = Gauge("g", registry=self.registry)
        self.histogram = Histogram("h", registry=self.registry)

    def drain(self):
        return self.registry.drain()

    def probed(self, function, **wish):
        return Wish(registry=self.registry, **wish).grant(function)

    def event(self, *given, **more):
        record_event(self.registry, *given, **more)

    def error(self, *given, **more):
        record_error(self.registry, *given, **more)

    def counted(self):
        """Sum of the counter at a drain, and the losses of metrics."""
        harvest = self.drain()
        ids = {
            n for n, each in enumerate(self.registry.table.series) if each.name == "c"
        }
        pairs = zip(harvest.sum_ids, harvest.sum_values, strict=True)
        return sum(value for id_, value in pairs if id_ in ids), harvest


@pytest.fixture
def kit():
    ASKED.clear()
    return Kit()


def values(error):
    """Hostile ones of every kind that is looked at more closely."""
    yield hostile(error=error)()
    yield hostile(dict, error=error)()
    yield hostile(list, error=error)([1, 2])
    yield hostile(tuple, error=error)([1, 2])
    yield hostile(set, error=error)()
    yield hostile(str, error=error)("text")
    yield hostile(int, error=error)(7)
    yield hostile(float, error=error)(7.5)
    yield hostile(bytes, error=error)(b"raw")


@pytest.mark.row("R2")
@pytest.mark.parametrize("error", [ValueError, RecursionError, MemoryError])
def test_no_object_makes_a_call_fail_wherever_it_is_given(kit, error):
    """As value, key, attribute, name, text, argument, result and mapping."""
    identity = kit.probed(lambda value: value)
    judged = kit.probed(lambda value: value, name="j", error_if=lambda value: value)
    for value in values(error):
        kit.event("e", {"v": value, "list": [value, value]})
        kit.event("e", value)
        kit.event(value)
        kit.event("e", body=value)
        kit.event("e", severity=value)
        kit.counter.add(value)
        kit.counter.add(1, {"v": value})
        kit.counter.add(1, value)
        kit.gauge.set(value)
        kit.histogram.record(value, {"v": value})
        kit.error(value)
        kit.error(ValueError("x"), attributes={"v": value})

        assert identity(value) is value
        assert judged(value) is value
    harvest = kit.drain()

    assert harvest.events
    assert not kit.drain()


@pytest.mark.row("R2")
def test_objects_that_nobody_named_are_never_asked_to_show_themselves(kit):
    """No repr, no str, no length, no property: they are named by their type."""
    thing = hostile()()
    kit.probed(lambda value: value)(thing)
    kit.event("e", {"thing": thing, "things": [thing]})
    kit.counter.add(1, {"thing": thing})
    harvest = kit.drain()

    assert not NEVER & set(ASKED)
    assert "property" not in ASKED
    shown = harvest.events[0].attributes["thing"]
    assert shown.startswith("<")
    assert shown.endswith("Hostile>")


class Unspeakable(Exception):
    """No text, no repr, no hash, no truth."""

    def __str__(self):
        raise ValueError("no")

    __repr__ = __str__
    __hash__ = __bool__ = __eq__ = None


def chained(depth):
    """Exceptions in a circle of contexts and causes."""
    ring = [ValueError(str(n)) for n in range(depth)]
    for n, error in enumerate(ring):
        error.__context__ = ring[(n + 1) % depth]
        if n % 2:
            error.__cause__ = ring[(n + 2) % depth]
    return ring[0]


def nested_groups(depth):
    error = ValueError("inner")
    for _ in range(depth):
        error = ExceptionGroup("group", [error])  # noqa: F821 - from 3.11 on
    return error


def of_hostile_class():
    class Meta(type):
        @property
        def __module__(cls):
            raise ValueError("no module")

        def __getattribute__(cls, name):
            if name in {"__qualname__", "__name__"}:
                raise ValueError("no name")
            return super().__getattribute__(name)

    return Meta("Odd", (Exception,), {})("x")


ERRORS = {
    "unspeakable": lambda: Unspeakable("x"),
    "a ring of one": lambda: chained(1),
    "a ring": lambda: chained(7),
    "a long ring": lambda: chained(5000),
    "huge": lambda: ValueError("x" * 20_000_000),
    "surrogates": lambda: ValueError("\ud800" * 100),
    "hostile class": of_hostile_class,
    "hostile arguments": lambda: ValueError(hostile()()),
}
if sys.version_info >= (3, 11):
    ERRORS["nested groups"] = lambda: nested_groups(500)


@pytest.mark.row("R2")
@pytest.mark.parametrize("kind", ERRORS)
def test_no_exception_is_too_odd_to_be_counted(kit, kind):
    """The host gets the same object, the problem has its count, texts are cut."""
    error = ERRORS[kind]()

    @kit.probed
    def work():
        raise error

    for _ in range(3):
        with pytest.raises(type(error)) as raised:
            work()

        assert raised.value is error
    kit.error(error, attributes={"a": 1})
    harvest = kit.drain()

    assert 3 == sum(problem.count for problem in harvest.problems)
    assert all(len(event.attributes["exception.message"]) <= VALUE_LIMIT
               for event in harvest.events)  # fmt: skip


@pytest.mark.row("P3")
@pytest.mark.parametrize("passing", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_ends_the_host_passes_through_all_of_ours(kit, passing):
    """Out of a call, a block, a judgement, an attribute: the same object."""
    end = passing()

    def leave(*_):
        raise end

    judged = kit.probed(lambda: 1, error_if=leave)
    for leaving in (kit.probed(leave), judged):
        with pytest.raises(passing) as raised:
            leaving()

        assert raised.value is end
    with pytest.raises(passing) as raised, Timer(kit.histogram, None, kit.registry):
        leave()

    assert raised.value is end
    assert [] == kit.drain().problems


@pytest.mark.row("R1", "R2")
def test_huge_and_deep_things_are_cut(kit):
    """Texts of 20 MB, a million items, a list in itself, ten thousand levels."""
    endless = []
    endless.append(endless)
    deep = {}
    for _ in range(10_000):
        deep = {"d": deep}
    kit.event(
        "e",
        {"text": "x" * 20_000_000, "many": range(10**9), "items": [0] * 1_000_000,
         "self": endless, "deep": deep, "k" * 1_000_000: 1},
        body="y" * 20_000_000,
    )  # fmt: skip
    kit.event("e", {str(n): n for n in range(10_000)})
    kit.event("n" * 1_000_000)
    harvest = kit.drain()
    first, second = harvest.events

    assert VALUE_LIMIT == len(first.body) == len(first.attributes["text"])
    assert 128 == len(first.attributes["items"]) == len(second.attributes)
    assert max(map(len, first.attributes)) == NAME_LIMIT
    assert {("events", "invalid"): 1} == harvest.losses


@pytest.mark.row("R2", "R3")
@pytest.mark.usefixtures("no_collection")
def test_at_the_end_of_the_stack_only_the_stack_ends(kit):
    """Only RecursionError leaves a call, and everything works afterwards."""

    def at_the_end(what, spare):
        """Call *what* with about *spare* frames left."""
        if spare >= 0:
            deepest = sys.getrecursionlimit() - depth() - spare

            def sink(left):
                return what() if left <= 0 else sink(left - 1)

            sink(deepest - 3)

    def depth():
        frame, found = sys._getframe(), 0
        while frame is not None:
            frame, found = frame.f_back, found + 1
        return found

    work = kit.probed(lambda: None)
    calls = [
        lambda: kit.event("e", {"a": "b"}),
        lambda: kit.counter.add(1, {"n": random.random()}),
        lambda: kit.error(ValueError("x")),
        kit.drain,
        kit.registry.compact,
        work,
    ]
    for what in calls:
        for spare in range(40):
            with contextlib.suppress(RecursionError):
                at_the_end(what, spare)
    kit.drain()
    kit.event("later")
    kit.counter.add(1)
    total, harvest = kit.counted()

    assert (["later"], 1) == ([event.name for event in harvest.events], total)


def operations(kit, work):
    return [
        lambda: kit.event("e", {"a": "b"}),
        lambda: kit.counter.add(1, {"a": "b"}),
        lambda: kit.histogram.record(0.5),
        lambda: kit.error(ValueError("x")),
        work,
        kit.drain,
        kit.registry.compact,
        kit.registry.due,
    ]


class Interrupt:
    """Raises at one line of ours, the how-manieth that is run.

    It gets the frame there, as the handler of a signal does.
    """

    def __init__(self, number, error):
        self.left = number
        self.error = error

    def __call__(self, frame, event, _):
        file = frame.f_code.co_filename
        if "probekit" not in file or f"{os.sep}tests{os.sep}" in file:
            return None
        if event == "line" and not _is_safe(frame):
            self.left -= 1
            if self.left == 0:
                raise self.error
        return self


def _is_safe(frame):
    """There CPython takes no signal, so that what was acquired is let go of.

    Or nobody could be given it: what a callback of a weak reference raises is ignored.
    """
    if frame.f_code.co_name == "gone":
        return True
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return line.strip() in {"try:", "lock.release()"}


class Late(Exception):
    """A time limit, raised by the handler of a signal: Celery's, a recipe's."""


@pytest.mark.row("P3")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, Late, TimeoutError])
def test_an_interrupt_inside_our_code_reaches_the_host_and_leaves_us_whole(
    kit, rng, kind
):
    """At lines of ours chosen at random: passed on, nothing locked, nothing stuck."""
    work = kit.probed(lambda: None)
    reached = strange = kept = 0
    for number, what in enumerate(operations(kit, work) * 25):
        interrupt = Interrupt(rng.randint(1, 60), kind())
        kit.counter.add(1)
        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            what()
        except kind as error:
            reached += error is interrupt.error
            strange += error is not interrupt.error
        else:
            kept += interrupt.left <= 0
        finally:
            sys.settrace(before)
        kit.event("later", {"n": number})
        names = [event.attributes.get("n") for event in kit.drain().events]

        assert number in names, what
    assert (0, 0) == (strange, kept)
    assert reached > 20


@pytest.mark.row("R3")
def test_signal_handlers_that_record_lose_nothing_and_hang_nothing(kit):
    """Every half millisecond, in the middle of whatever runs."""
    handled = [0]

    def handler(*_):
        handled[0] += 1
        kit.counter.add(1, {"who": "handler"})
        kit.event("from.handler")
        if handled[0] % 7 == 0:
            drained.append(kit.counted()[0])

    drained, calls = [], 0
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while handled[0] < 60:
            for _ in range(50):
                calls += 1
                kit.counter.add(1, {"who": "host"})
            drained.append(kit.counted()[0])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    drained.append(kit.counted()[0])

    assert calls + handled[0] == sum(drained)


@pytest.mark.row("R3")
def test_finalisers_and_collections_that_record_are_exact(kit):
    """A ``__del__`` in the middle of a drain, a collection at every allocation."""
    made = [0]

    class Last:
        def __init__(self):
            self.ring = self
            made[0] += 1

        def __del__(self):
            kit.counter.add(1, {"who": "finaliser"})
            kit.event("gone")

    thresholds = gc.get_threshold()
    gc.collect()
    total = calls = 0
    gc.set_threshold(5)
    try:
        for _ in range(300):
            Last()
            calls += 1
            kit.counter.add(1, {"who": "host"})
            kit.event("e", {"a": [1, 2]})
            if calls % 20 == 0:
                total += kit.counted()[0]
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    total += kit.counted()[0]

    assert calls + made[0] == total


@pytest.mark.row("R3")
def test_a_callback_that_records_drains_and_flushes_itself_changes_nothing(kit):
    """Re-entrance from within a drain."""
    seen = []

    @kit.registry.observe
    def nosy(observer):
        kit.counter.add(1)
        kit.event("nosy")
        seen.append(bool(kit.drain()))
        observer.gauge("g", 1)

    totals = [kit.counted()[0] for _ in range(3)]

    assert [1, 1, 1] == totals
    assert [False] * 3 == seen


@pytest.mark.row("R3")
def test_a_scrubber_that_records_is_not_asked_for_ever(kit):
    """What it records is cleaned by it in the next drain, not in this one."""
    kit.registry.scrub = Scrubber(
        extra=[lambda text: kit.event("again", body="x") or text]
    )
    kit.event("first", body="x")
    counts = [len(kit.drain().events) for _ in range(3)]

    assert [1, 1, 1] == counts


@pytest.mark.row("R2")
def test_many_threads_with_hostile_things_are_counted_exactly(kit, rng):
    """An error storm with hostile attributes from eight threads."""
    seeds = [rng.random() for _ in range(8)]
    unshown = []

    def storm(seed):
        own = random.Random(seed)
        for _ in range(200):
            try:
                kit.counter.add(1, {"v": own.choice([1, "a", None])})
                kit.error(Unspeakable("x"))
                kit.event("e", {"v": next(values(ValueError))})
            except BaseException as error:  # noqa: PERF203 - the finding
                unshown.append(error)

    threads = [threading.Thread(target=storm, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total, harvest = kit.counted()

    assert ([], 1600) == (unshown, total)
    assert 1600 == sum(problem.count for problem in harvest.problems)
