"""What ``probe.count`` counts: every call that has ended, once, by how it ended."""

import asyncio
import functools
import gc
import inspect
import os
import pickle
import sys
import threading
import traceback
import weakref
from contextlib import nullcontext

import pytest

import probekit
from forks import FORKS
from probekit.recording.instruments import Counter, instrument
from probekit.recording.probe import Wish

NAME = "probekit.function.calls"


@pytest.fixture
def count(registry, way):
    """``probekit.probe.count`` into the test's registry, in both ways."""

    def count(target=None, /, **wish):
        granted = Wish(registry=registry, counted=True, **wish)
        return granted.grant if target is None else granted.grant(target)

    return count


@pytest.fixture
def calls(drained):
    """(name, error type) → calls since the last look."""

    def look():
        found = {}
        for key, number in drained().sums(NAME).items():
            given = dict(key)
            name = given["code.function.name"].rpartition(".")[2]
            found[name, given.get("error.type")] = number
        return found

    return look


def divided(a, b=1, /, *rest, by=1, **more):
    return a / b / by


async def divided_later(a, b=1):
    await asyncio.sleep(0)
    return a / b


def divided_each(values, by=1):
    for value in values:
        yield value / by


async def divided_each_later(values, by=1):
    for value in values:
        yield value / by


async def spent(items):
    return [each async for each in items]


USES = {
    "function": (divided, lambda f, by: f(4, 1, by=by)),
    "coroutine": (divided_later, lambda f, by: asyncio.run(f(4, by))),
    "generator": (divided_each, lambda f, by: list(f([4], by))),
    "async generator": (
        divided_each_later,
        lambda f, by: asyncio.run(spent(f([4], by))),
    ),
    "partial": (functools.partial(divided, 4), lambda f, by: f(by=by)),
}


@pytest.mark.parametrize("bare, use", USES.values(), ids=USES)
def test_calls_are_counted_at_their_end_by_how_they_ended(count, calls, bare, use):
    """Those that fail in a series of their own, with the type of the error."""
    function = count(name="divided")(bare)
    for by in (1, 2, 0, 4):
        with nullcontext() if by else pytest.raises(ZeroDivisionError):
            use(function, by)

    assert {("divided", None): 3, ("divided", "ZeroDivisionError"): 1} == calls()
    assert {} == calls()


def test_methods_are_counted_above_and_below_their_decorators(count, calls):
    """And those of a class that is counted."""

    @count
    class Shop:
        @classmethod
        @count(name="made")
        def make(cls):
            return cls()

        @count(name="double")
        @staticmethod
        def double(a):
            return 2 * a

        @property
        def size(self):
            return 3

        def add(self, a):
            return super().__repr__() and a

    assert (4, 5, 3) == (Shop.make().double(2), Shop().add(5), Shop().size)
    found = calls()
    assert 3 == sum(found[name, None] for name in ("made", "double", "add"))


def test_the_function_looks_as_before_and_the_bare_one_stays_bare(count, calls):
    """Signature, names, defaults, documentation, flags, a way back."""
    for bare, _ in list(USES.values())[:-1]:
        twin = count(bare)
        assert inspect.signature(bare) == inspect.signature(twin)
        assert bare is twin.__wrapped__
        assert (bare.__qualname__, bare.__defaults__, bare.__kwdefaults__) == (
            twin.__qualname__,
            twin.__defaults__,
            twin.__kwdefaults__,
        )
        for question in (
            inspect.iscoroutinefunction,
            inspect.isgeneratorfunction,
            inspect.isasyncgenfunction,
        ):
            assert question(bare) == question(twin)
        assert twin is count(twin)
    divided(1)
    assert {} == calls()


@probekit.probe.count
def pickled(a):
    return a


def test_a_counted_function_is_pickled_by_its_name():
    """As any function is."""
    assert pickled is pickle.loads(pickle.dumps(pickled))


def test_an_error_passes_as_it_is_and_is_one_problem(count, registry):
    """However many counted and timed functions it leaves."""
    error = LookupError("gone")

    @count
    def inner():
        raise error

    @Wish(registry=registry).grant
    def middle():
        return inner()

    @count
    def outer():
        return middle()

    with pytest.raises(LookupError) as caught:
        outer()

    assert error is caught.value
    assert error.__context__ is None
    lines = [each.name for each in traceback.extract_tb(error.__traceback__)]
    assert "inner" == lines[-1]
    assert [1] == [problem.count for problem in registry.drain().problems]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_is_no_error_is_counted_as_an_end(count, calls, kind):
    """Only subclasses of Exception are errors."""

    @count(name="leave")
    def leave():
        raise kind

    with pytest.raises(kind):
        leave()

    assert {("leave", None): 1} == calls()


def test_counted_and_timed_are_both_what_was_asked_for(count, registry, drained):
    """In either order, each once."""
    timed = Wish(registry=registry).grant

    @timed
    @count
    @timed
    def work():
        return 1

    work()
    recorded = drained()

    assert [1] == list(recorded.sums(NAME).values())
    assert [1] == list(recorded.calls().values())
    assert work is count(work)


def test_no_call_of_many_threads_is_lost(count, calls):
    """With a switch of threads at every other instruction."""
    work = count(name="work")(lambda: None)

    def many():
        for _ in range(5_000):
            work()

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=many) for _ in range(4)]
        for thread in threads:
            thread.start()
        found = 0
        while any(thread.is_alive() for thread in threads):
            found += calls().get(("work", None), 0)
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)

    assert 20_000 == found + calls().get(("work", None), 0)


def test_nothing_is_counted_while_it_is_switched_off_or_suppressed(
    count, calls, registry
):
    """And everything again afterwards; a function made meanwhile too."""
    work = count(name="work")(lambda: 1)
    registry.enabled = False
    late = count(name="late")(lambda: 1)
    assert (1, 1) == (work(), late())
    registry.enabled = True
    with registry.suppress():
        assert (1, 1) == (work(), late())
    assert {} == calls()

    assert (1, 1) == (work(), late())
    assert {("work", None): 1, ("late", None): 1} == calls()


def test_the_first_call_asks_for_attention(count, registry):
    """Else nobody would ever begin to deliver what is only counted."""
    asked = []
    registry.on_due = lambda: (asked.append(1), registry.watch.rest_for(3600))
    work = count(lambda: 1)
    for _ in range(3):
        work()

    assert [1] == asked


def test_an_attempt_to_start_that_fails_is_no_affair_of_the_caller(
    count, calls, registry
):
    """The call is counted, and another look comes later."""
    registry.on_due = lambda: 1 / 0
    work = count(name="work")(lambda: 1)

    assert 1 == work()
    assert {("work", None): 1} == calls()


@pytest.mark.usefixtures("no_collection")
def test_a_full_stack_is_the_functions_own_affair(count, registry):
    """Whatever depth it ends at; the next call counts."""

    @count
    def deeper():
        return deeper()

    with pytest.raises(RecursionError) as caught:
        deeper()

    assert caught.value.__context__ is None
    recorded = registry.drain()
    assert sum(recorded.sum_values) + sum(recorded.losses.values()) > 0


def test_many_calls_that_nobody_drains_take_no_memory(count, registry):
    """A number is as long as a long list."""
    registry.watch.rest_for(3600)
    work = count(name="work")(lambda: 1)
    for _ in range(10_000):
        work()
    (handle,) = [each for each in registry.handles if each.series.name == NAME]

    assert ([], 10_000) == (handle.values, handle.count)


def test_a_function_that_goes_takes_its_code_along(count, registry):
    """Functions may be made again and again; their series stays."""

    def make():
        kept = type("Kept", (), {})()
        twin = count(name="work")(lambda: kept)
        twin()
        return weakref.ref(kept)

    gone = make()
    gc.collect()

    assert gone() is None
    assert not registry.twins._twins


def test_failures_that_wait_fold_into_a_number(count, calls, registry):
    """They append, as timed ones do."""

    @count(name="fail")
    def fail():
        raise BlockingIOError

    for _ in range(3):
        with pytest.raises(BlockingIOError):
            fail()
    for handle in registry.handles:
        handle.fold(lambda _: None)

    assert {("fail", "BlockingIOError"): 3} == calls()


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="fork and its pages")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_child_counts_from_zero_with_its_first_call(count, calls, registry, fork):
    """Raw forks included, and the parent loses nothing."""
    registry.watch.rest_for(3600)
    work = count(name="work")(lambda: 1)
    for _ in range(5):
        work()
    reader, writer = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            work(), work()
            os.write(writer, repr(calls()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(pid, 0)

    assert {("work", None): 2.0} == eval(said)
    assert {("work", None): 5} == calls()


def test_the_name_is_taken_where_somebody_has_a_counter_of_it(count, registry):
    """Two kinds under one name would add up wrong."""
    instrument(Counter, NAME, registry=registry)

    with pytest.raises(probekit.BadName, match=NAME):
        count(divided)


def test_what_cannot_be_counted_is_named():
    """At decoration, not later."""
    with pytest.raises(probekit.ConfigError, match="int"):
        probekit.probe.count(3)


def test_switched_off_for_good_the_function_is_left_as_it_is(monkeypatch):
    """The very object, with arguments or without."""
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")

    assert divided is probekit.probe.count(divided)
    assert divided is probekit.probe.count(name="other")(divided)


def test_of_a_class_what_a_decorator_hides_is_left_out_with_a_word(
    count, calls, caplog
):
    """It works as before."""

    @count
    class Shop:
        @functools.lru_cache  # noqa: B019 - it lives as long as the test
        def price(self):
            return 3

    assert 3 == Shop().price()
    assert {} == calls()
    assert "price is hidden by its decorator" in caplog.text
