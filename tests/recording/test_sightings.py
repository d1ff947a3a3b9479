"""Woven calls and coroutines that wait are told by the second look that sees them."""

import asyncio
import gc
import threading
import weakref
from time import perf_counter

import pytest

import probekit
from probekit.recording.functions.stitch import Stitch
from probekit.recording.probe import Wish
from probekit.recording.underway.calls import long_calls
from probekit.recording.underway.coroutines import waiting_calls
from probekit.recording.underway.sightings import Sightings
from probekit.recording.weave.weaver import CAN_WEAVE

wrapped = probekit.probe(span=True)  # a wrapper stands around it, and tells its start
LATER_S = 2.0  # looked at so much later, whatever runs has run for long
woven = pytest.mark.skipif(not CAN_WEAVE, reason="its wrapper tells the start itself")


class Looks:
    """Looks at what runs, each time two seconds later than before."""

    def __init__(self, registry):
        self.registry = registry
        self.sightings = Sightings(registry)
        self.now_s = perf_counter()

    def look(self, *, drained=True):
        """What is found now, as a heartbeat would."""
        if drained:
            self.registry.drain()
        self.now_s += LATER_S
        self.sightings.begin(self.now_s)
        found, places = long_calls(self.now_s, self.sightings)
        found += waiting_calls(self.now_s, places, self.sightings)
        return [each for each in found if __name__ in each.name]

    def names(self):
        return [each.name.rpartition(".")[2] for each in self.look()]


@pytest.fixture
def looks(registry):
    made = Looks(registry)
    yield made
    made.sightings.forget()
    assert made.sightings._listen not in [each for each, _ in registry.observers._asked]


@pytest.fixture
def weave(registry):
    """Makes functions that are timed inside their own code."""
    stitches = []

    def weave(function):
        name = f"{__name__}.{function.__name__}"
        stitches.append(Stitch(function, name, registry.gate))
        stitches[-1].tie()
        return function

    yield weave
    for stitch in stitches:
        stitch.untie()
        stitch.let_go()


class Thread:
    """A thread that stands still, or computes, where it is told to.

    Attributes:
        go: Leave this place; the next ``wait`` or ``compute`` is another one.
    """

    def __init__(self, function):
        self.inside, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.asked = threading.Semaphore(0)
        self.thread = threading.Thread(target=function, args=(self,))

    def wait(self):
        self.inside.release()
        assert self.go.acquire(timeout=10)

    def compute(self):
        self.inside.release()
        ends_s = perf_counter() + 10
        while not self.go.acquire(blocking=False):
            assert perf_counter() < ends_s
            if self.asked.acquire(blocking=False):
                self.inside.release()

    def has_run(self):
        """Wait until it has computed something more."""
        self.asked.release()
        self.arrived()

    def arrived(self):
        assert self.inside.acquire(timeout=10)

    def __enter__(self):
        self.thread.start()
        self.arrived()
        return self

    def __exit__(self, *exc_info):
        self.go.release()
        self.thread.join()


class Loop(Thread):
    """Runs a coroutine, which gets an event to wait for, on a thread's event loop."""

    def __init__(self, coroutine):
        super().__init__(lambda _: asyncio.run(self.main(coroutine)))

    async def main(self, coroutine):
        self.loop, self.event = asyncio.get_running_loop(), asyncio.Event()
        self.loop.call_later(0.01, self.inside.release)
        await coroutine(self)

    def __exit__(self, *exc_info):
        self.loop.call_soon_threadsafe(self.event.set)
        self.thread.join()


@woven
def test_a_woven_call_is_as_old_as_the_first_look_that_saw_it(looks, weave):
    @weave
    def charge(thread):
        thread.wait()

    with Thread(charge):
        assert [] == looks.look()
        first_s = looks.now_s
        (found,) = looks.look()
        assert first_s == found.began_s
        assert ("call", f"{__name__}.charge") == (found.kind, found.name)
        assert {"code.function.name": found.name} == found.attributes
        assert "charge" in found.stack
        (again,) = looks.look()
        assert first_s == again.began_s

    assert [] == looks.look()


@woven
def test_a_probed_call_is_found_in_the_same_way(looks, registry):
    """With its attributes; its code is woven, too."""

    @Wish(attributes={"team": "billing"}, registry=registry).grant
    def charge(thread):
        thread.wait()

    with Thread(charge):
        assert [] == looks.look()
        (found,) = looks.look()

    assert found.name.endswith("charge")
    assert {"team": "billing", "code.function.name": found.name} == found.attributes


@woven
def test_a_call_that_ended_between_two_looks_is_not_the_next_one(looks, weave):
    """Their frames lie at the same place in memory more often than not."""

    @weave
    def charge(thread):
        thread.wait()

    def many(thread):
        for _ in range(5):
            charge(thread)

    with Thread(many) as thread:
        for _ in range(4):
            assert [] == looks.look()
            thread.go.release()
            thread.arrived()
        assert [] == looks.look()


@woven
def test_a_thread_that_computes_is_in_the_call_that_has_not_returned(looks, weave):
    @weave
    def crunch(thread):
        thread.compute()

    with Thread(crunch) as thread:
        assert [] == looks.look()
        thread.has_run()
        assert ["crunch"] == looks.names()


@woven
@pytest.mark.parametrize("by", ["instrument", "probe"])
def test_other_calls_of_the_function_that_end_delay_it_by_one_look(
    looks, weave, registry, by
):
    """Of two threads in one function one has returned: which, no count tells.

    From then on calls begin in another code, and what runs the one before is old.
    """

    def crunch(thread):
        if thread:
            thread.compute()

    crunch = (weave if by == "instrument" else Wish(registry=registry).grant)(crunch)
    with Thread(crunch) as thread:
        assert [] == looks.look()
        crunch(None)
        thread.has_run()
        assert [] == looks.look()
        for _ in range(3):
            crunch(None)
            thread.has_run()
            assert ["crunch"] == looks.names()

    registry.drain()
    registry.enabled = False
    crunch(None)
    registry.enabled = True
    crunch(None)
    (durations,) = [values for _, values in registry.drain().raw]
    assert 1 == len(durations)


@woven
def test_whatever_an_older_call_runs_in_is_older_still(looks, weave):
    """The wrapper of the innermost tells its start, and so the age of all around."""

    @wrapped
    def inner(thread):
        thread.compute()

    @weave
    def outer(thread):
        if thread:
            inner(thread)

    with Thread(outer) as thread:
        assert ["inner"] == looks.names()
        outer(None)
        thread.has_run()
        assert ["outer", "inner"] == looks.names()


@woven
def test_a_generator_is_older_than_what_resumes_it(looks, weave):
    """It is left and entered again, so it says nothing of the call around it."""

    @weave
    def resume(chunks):
        next(chunks)

    @wrapped
    def chunks(thread):
        while True:
            thread.compute()
            yield

    def work(thread):
        made = chunks(thread)
        resume(made)
        resume(made)

    with Thread(work) as thread:
        assert ["chunks"] == looks.names()
        thread.go.release()
        thread.arrived()
        assert ["chunks"] == looks.names()


def test_a_coroutine_that_waits_is_found_with_its_start_and_its_place(looks):
    @probekit.probe(span=True, attributes={"team": "billing"})
    async def fetch(loop):
        await loop.event.wait()

    async def page(loop):
        await fetch(loop)

    began_s = perf_counter()
    with Loop(page):
        (found,) = looks.look()

    assert found.name.endswith("fetch")
    assert "billing" == found.attributes["team"]
    assert began_s <= found.began_s <= perf_counter()
    places = [line.rpartition(" in ")[2] for line in found.stack.splitlines()]
    assert ["wait", "fetch", "page"] == [
        place.rpartition(".")[2] for place in places if "main" not in place
    ]


@woven
def test_a_woven_coroutine_is_known_by_itself(looks, weave):
    """The loop has run meanwhile, and other calls of it have ended."""

    @weave
    async def fetch(loop):
        await (loop.event.wait() if loop else asyncio.sleep(0))

    with Loop(fetch) as loop:
        assert [] == looks.look()
        for _ in range(2):
            asyncio.run_coroutine_threadsafe(fetch(None), loop.loop).result(10)
            assert ["fetch"] == looks.names()


@woven
def test_a_task_that_began_meanwhile_is_young(looks, weave):
    @weave
    async def fetch(loop):
        await loop.event.wait()

    with Loop(fetch) as loop:
        looks.look()
        loop.loop.call_soon_threadsafe(loop.loop.create_task, fetch(loop))
        loop.loop.call_soon_threadsafe(loop.loop.call_later, 0.01, loop.inside.release)
        loop.arrived()
        assert ["fetch"] == looks.names()
        assert ["fetch", "fetch"] == looks.names()


@pytest.mark.parametrize("waits", [True, False])
def test_nothing_of_a_call_lives_longer_for_having_been_seen(looks, weave, waits):
    class Big:
        pass

    seen = []

    @weave
    def charge(thread, big):
        seen.append(weakref.ref(big))
        thread.wait()

    @weave
    async def fetch(loop, big):
        seen.append(weakref.ref(big))
        await loop.event.wait()

    held = Loop(lambda loop: fetch(loop, Big()))
    with held if waits else Thread(lambda thread: charge(thread, Big())):
        looks.look()
        looks.look()
        assert seen[0]() is not None
    gc.collect()

    assert [None] == [ref() for ref in seen]


def test_among_too_many_tasks_none_is_looked_at(looks, monkeypatch):
    @wrapped
    async def fetch(loop):
        await loop.event.wait()

    with Loop(fetch):
        assert ["fetch"] == looks.names()
        monkeypatch.setattr("probekit.recording.underway.coroutines.TASKS", 0)
        assert [] == looks.look()


@woven
def test_nobody_is_remembered_beyond_the_limit(looks, weave, monkeypatch):
    monkeypatch.setattr("probekit.recording.underway.sightings.MOST", 0)

    @weave
    def charge(thread):
        thread.wait()

    with Thread(charge):
        looks.look()
        assert [] == looks.look()
