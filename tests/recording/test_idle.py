"""Laws of a registry that is switched off: its wrappers only pass calls on."""

import asyncio
import gc
import inspect
import sys

import pytest

from probekit.recording import twins


def everything(a, b=1, /, c=2, *rest, d, e=5, **others):
    return a, b, c, rest, d, e, others


def our_names(_pk_f, _pk_t0=1, _pk__r=2, *_pk_clock, _pk=3):
    return _pk_f, _pk_t0, _pk__r, _pk_clock, _pk


def failing(a):
    raise LookupError(a)


async def coroutine(a, b=2):
    await asyncio.sleep(0)
    return a + b


def generator(a, b=2):
    got = yield a
    return got + b


@pytest.fixture
def asleep(registry, probe):
    """Probe a function and switch the registry off."""

    def fall_asleep(function, **wish):
        probed = probe(**wish)(function)
        registry.enabled = False
        return probed

    return fall_asleep


@pytest.mark.parametrize("spanned", [False, True])
@pytest.mark.parametrize(
    "function, args, kwargs",
    [
        (everything, (1,), {"d": 4}),
        (everything, (1, 2, 3, 4, 5), {"d": 6, "x": 7}),
        (our_names, (0, 1, 2, 3, 4), {"_pk": 5}),
    ],
)
def test_asleep_it_takes_what_the_function_takes(
    asleep, function, args, kwargs, spanned
):
    """And returns what it returns; it looks the same."""
    probed = asleep(function, span=spanned, error_if=bool)

    assert function(*args, **kwargs) == probed(*args, **kwargs)
    assert inspect.signature(function) == inspect.signature(probed)
    assert twins.twin_of(probed) is not None
    assert "perf_counter" not in probed.__code__.co_names


def test_asleep_it_reads_no_clock(asleep, way):
    """A wrapper has one thing to do; woven code is the function's own again."""
    probed = asleep(everything)
    if way == "woven":
        assert everything.__code__ is probed.__code__
        return
    loaded = {
        each.argval
        for each in __import__("dis").get_instructions(probed.__code__)
        if each.opname == "LOAD_DEREF"
    }

    assert {"_pk_f"} == loaded


def test_coroutines_and_generators_stay_what_they_are(asleep):
    """For frameworks that ask, and for those who await and send."""
    awaited, stepped = asleep(coroutine), asleep(generator)
    steps = stepped(1)

    assert inspect.iscoroutinefunction(awaited)
    assert inspect.isgeneratorfunction(stepped)
    assert 3 == asyncio.run(awaited(1))
    assert 1 == next(steps)
    with pytest.raises(StopIteration) as ended:
        steps.send(5)
    assert 7 == ended.value.value


def test_asleep_an_exception_passes(asleep, drained):
    """As itself, and nobody counts it."""
    with pytest.raises(LookupError, match="3"):
        asleep(failing)(3)

    recorded = drained()
    assert {} == recorded.calls()
    assert [] == recorded.problems


def test_what_is_probed_while_off_sleeps_too_and_all_wake_together(
    registry, probe, drained
):
    """Whatever the order."""
    before = probe(name="before")(lambda: 1)
    registry.enabled = False
    during = probe(name="during")(lambda: 2)
    assert (1, 2) == (before(), during())
    registry.enabled = True
    assert (1, 2) == (before(), during())

    assert {("before", None): 1, ("during", None): 1} == drained().calls()


def test_a_call_under_way_ends_as_it_began(registry, probe, drained):
    """Its frame keeps the code that it had."""

    def switch(enabled):
        registry.enabled = enabled
        return enabled

    switched = probe(name="switched")(switch)
    assert switched(True)
    assert not switched(False)
    assert switched(True)

    assert {("switched", None): 1} == drained().calls()


def test_code_that_somebody_has_put_in_stays(registry, probe):
    """Only what was put in here is taken out here."""
    probed = probe(lambda: 1)
    registry.enabled = False
    theirs = (lambda: 2).__code__
    probed.__code__ = theirs.replace(co_freevars=probed.__code__.co_freevars)
    theirs = probed.__code__
    registry.enabled = True

    assert theirs is probed.__code__


def test_no_twin_is_kept_alive(registry, probe):
    """One that is gone leaves nothing behind."""
    probes = [probe(lambda: 1) for _ in range(3)]
    known = list(registry.twins._twins)
    assert len(probes) == len(known)
    del probes
    gc.collect()

    assert {} == registry.twins._twins
    assert twins._KNOWN.keys().isdisjoint(known)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="names are in code from 3.11 on")
def test_a_traceback_names_the_function(asleep):
    """Awake or not."""
    probed = asleep(failing)

    assert "failing" == probed.__code__.co_qualname == probed.__code__.co_name
