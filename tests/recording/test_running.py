"""What is under way is found from outside: calls on the stacks, jobs by themselves."""

import asyncio
import gc
import threading
import weakref
from time import perf_counter

import pytest

import probekit
from probekit.recording.template import FILENAME
from probekit.recording.underway.calls import long_calls, stack_of
from probekit.recording.underway.running import (
    UNDERWAY,
    Operation,
    interrupted,
    long_underway,
)
from probekit.recording.weave.shroud import shroud
from probekit.recording.weave.strands import Strands

wrapped = probekit.probe(span=True)  # a wrapper stands around it, and tells its start
LATER_S = 2.0  # looked at so much later, whatever runs has run for long


class Held:
    """Runs a function on a thread until the block ends."""

    def __init__(self, function, *arguments):
        self.inside, self.go = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=function, args=(self, *arguments))

    def wait(self):
        self.inside.set()
        assert self.go.wait(10)

    def __enter__(self):
        self.thread.start()
        assert self.inside.wait(10)
        return self

    def __exit__(self, *exc_info):
        self.go.set()
        self.thread.join()


def calls(later_s=LATER_S):
    found, _ = long_calls(perf_counter() + later_s)
    return [each for each in found if __name__ in each.name]


@wrapped
def outer(held, word="x"):
    inner(held, word)


@probekit.probe(span=True, attributes={"team": "billing"})
def inner(held, _pk_t0):
    """A parameter named like the wrapper's own start."""
    held.wait()


@wrapped
def chunks(held):
    held.wait()
    yield 1


@probekit.timer("shop.render")
def render(held):
    held.wait()


def test_calls_that_run_are_found_with_names_attributes_and_place():
    """Outermost first; the place is the thread's, the same for both."""
    began = perf_counter()
    with Held(outer):
        first, second = calls()

    assert f"{__name__}.outer" == first.name == first.attributes["code.function.name"]
    assert f"{__name__}.inner" == second.name
    assert "billing" == second.attributes["team"]
    assert began <= first.began_s <= second.began_s <= perf_counter()
    assert {"call"} == {first.kind, second.kind}
    assert first.stack == second.stack
    assert "in inner" in first.stack.replace("Held.", "")
    assert FILENAME not in first.stack


def test_calls_younger_than_a_second_are_nobodys_last_words():
    with Held(outer):
        assert [] == calls(later_s=0.0)


def test_generators_and_timed_functions_that_run_are_found():
    with Held(lambda held: list(chunks(held))):
        assert [f"{__name__}.chunks"] == [each.name for each in calls()]
    with Held(render):
        (found,), _ = long_calls(perf_counter() + LATER_S)
        assert "shop.render" == found.name


def test_functions_with_the_wrapper_inside_their_code_are_found():
    """The form of instrumented functions on interpreters that are not woven for."""

    def busy(held):
        held.wait()

    registry_like = type("Gate", (), {"deadline": {(): float("inf")}})()
    strands = Strands(
        gate=registry_like,
        due=bool,
        append=[].append,
        fail=lambda _e, _s: None,
        missed=[].append,
    )
    busy.__code__ = shroud(busy, busy.__code__, strands)
    with Held(busy):
        (found,) = calls()

    assert f"{__name__}." in found.name
    assert found.name.endswith("busy")


def test_nothing_of_a_call_is_kept_by_looking_at_it():
    """What it held lives no longer than it would have."""

    class Big:
        pass

    seen = []

    @wrapped
    def use(held, big):
        local = Big()
        seen.extend([weakref.ref(big), weakref.ref(local)])
        held.wait()

    with Held(lambda held: use(held, Big())):
        assert 1 == len(calls())
    gc.collect()

    assert [None, None] == [ref() for ref in seen]


def test_a_stack_tells_files_lines_and_names_and_no_values():
    """At most twelve, innermost first."""

    def down(n, held):
        secret = "hunter2"
        if n:
            return down(n - 1, held)
        held.wait()
        return secret

    found = {}

    def look(held):
        down(20, held)

    with Held(look) as held:
        import sys

        found = stack_of(sys._current_frames()[held.thread.ident])

    assert 12 == len(found.splitlines())
    assert "hunter2" not in found


def test_jobs_enter_and_leave():
    """Also as decorators, coroutines and when they fail."""

    @probekit.job("hourly")
    async def refresh():
        (found,) = long_underway(perf_counter() + LATER_S)
        assert found.attributes == {"probekit.job.name": "hourly"}
        raise ValueError("no")

    with probekit.job("nightly", attributes={"region": "eu"}) as nightly:
        (found,) = long_underway(perf_counter() + LATER_S)
        assert ("job", "nightly", "eu") == (
            found.kind,
            found.name,
            found.attributes["region"],
        )
        with nightly:
            pass
        assert 1 == len(long_underway(perf_counter() + LATER_S))
        assert [] == long_underway(perf_counter())
    with pytest.raises(ValueError, match="no"):
        asyncio.run(refresh())

    assert [] == long_underway(perf_counter() + LATER_S)


def test_what_cannot_be_described_hides_nothing_else():
    class Broken:
        def underway(self, longest_s):
            raise AttributeError("half made")

    broken = Broken()
    UNDERWAY.add(broken)
    try:
        with probekit.job("nightly"):
            found = long_underway(perf_counter() + LATER_S)
    finally:
        UNDERWAY.discard(broken)

    assert ["nightly"] == [each.name for each in found]


def test_entries_that_nobody_ends_are_bounded(monkeypatch):
    """A server that forgets its requests must not fill the memory with them."""
    monkeypatch.setattr("probekit.recording.underway.running.KEPT", 1)
    entries = [probekit.job("a"), probekit.job("b")]
    UNDERWAY.update(entries)

    assert [] == long_underway(perf_counter() + LATER_S)
    assert set() == UNDERWAY


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_a_worker_that_is_told_to_end_leaves_an_event(registry, drained, error):
    operation = Operation("request", "GET /slow", perf_counter() - 3.0, {"a": 1})
    interrupted(operation, error, registry)
    (event,) = drained().events

    assert "interrupted" == event.name
    assert type(error).__name__ == event.attributes["error.type"]
    assert 3.0 <= event.attributes["probekit.operation.duration"] < 60
    assert ("request", "GET /slow", 1) == (
        event.attributes["probekit.operation.kind"],
        event.attributes["probekit.operation.name"],
        event.attributes["a"],
    )


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
def test_a_client_that_left_is_no_interruption(registry, drained, error):
    interrupted(Operation("request", "GET /", 0.0), error, registry)

    assert [] == drained().events
