"""The forms in which probe and timer are used, and what they refuse."""

import asyncio
import functools
import pickle
from types import MethodType

import pytest

import probekit
from probekit.errors import BadName, ConfigError, ProbekitError
from probekit.recording.functions.outcome import FUNCTION_DURATION
from probekit.recording.functions.timer import Timer
from probekit.recording.instruments import Histogram, instrument
from probekit.recording.probe import Wish
from probekit.recording.weave.weaver import CAN_WEAVE
from probekit.recording.woven import Witness


def test_name_and_attributes_stand_in_the_series(probe, registry):
    """With unit, and the function's own name when none is given."""

    @probe(name="payment.charge", attributes={"team": "billing"})
    def charge():
        return 1

    @probe
    def refund():
        return 1

    charge(), refund()
    first, second = registry.drain().series

    assert (FUNCTION_DURATION, "histogram", "s") == (first.name, first.kind, first.unit)
    assert {"code.function.name": "payment.charge", "team": "billing"} == dict(
        first.attributes,
    )
    assert (
        f"{__name__}.{refund.__qualname__}"
        == dict(second.attributes)["code.function.name"]
    )


@pytest.mark.parametrize("flavour", ["partial", "async object", "builtin"])
def test_other_callables_are_probed(probe, drained, flavour):
    """They become functions that take what the callable takes."""

    class Service:
        async def __call__(self, x):
            return x

    async def work(x):
        return x

    if flavour == "builtin":
        assert 3 == probe(len)([1, 2, 3])
        name = "builtins.len"
    elif flavour == "partial":
        assert 1 == asyncio.run(probe(functools.partial(work, 1))())
        name = f"{__name__}.{work.__qualname__}"
    else:
        assert 1 == asyncio.run(probe(Service())(1))
        name = f"{__name__}.{Service.__qualname__}"

    assert {(name, None): 1} == drained().calls()


@pytest.mark.parametrize(
    "wish, error, words",
    [
        ({"name": ""}, BadName, "name of a probe"),
        ({"name": 7}, BadName, "int"),
        ({"attributes": "x"}, ConfigError, "attributes of a probe .* str"),
        ({"attributes": {7: 1}}, BadName, "attribute name"),
        ({"error_if": 7}, ConfigError, "error_if .* int"),
    ],
)
def test_a_wrong_argument_raises_at_decoration(probe, wish, error, words):
    """It names the argument and what was given."""
    with pytest.raises(error, match=words):
        probe(**wish)


@pytest.mark.parametrize("target", [7, "f", functools.cached_property(len)])
def test_what_cannot_be_called_cannot_be_probed(probe, target):
    """ConfigError at once."""
    with pytest.raises(ConfigError, match="callable"):
        probe(target)


@pytest.mark.parametrize("value", ["1", "true", "on"])
def test_disabled_the_decorator_returns_the_very_object(monkeypatch, value):
    """Nothing is left of us."""
    monkeypatch.setenv("PROBEKIT_DISABLE", value)

    def f():
        return 1

    class C:
        def m(self):
            return 1

    method = C.m
    assert f is probekit.probe(f)
    assert f is probekit.probe(name="x")(f)
    assert f is probekit.timer("recording.test.timer")(f)
    assert C is probekit.probe(C)
    assert method is C.m


def test_a_wrong_argument_raises_even_when_disabled(monkeypatch):
    """A typo does not wait for production."""
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")
    with pytest.raises(ProbekitError):
        probekit.probe(name="")


def test_spans_are_asked_for_while_a_maker_is_there(probe, registry):
    """Opened and ended around the call, told of its error, never in its way."""
    said = []

    class Open:
        def __init__(self, name):
            self.name = name

        def end(self, error):
            said.append(("end", self.name, error))
            raise OSError("ours alone")

    def maker(name, attributes, attach):
        said.append(("open", name, attach))
        return Open(name)

    @probe(name="f", span=True)
    def f(fail):
        said.append("run")
        if fail:
            raise error
        return 1

    @probe(name="g", span=True)
    def g():
        yield 1

    error = LookupError("x")
    f(fail=False)
    assert ["run"] == said
    said.clear()
    registry.span_maker = maker
    f(fail=False)
    with pytest.raises(LookupError):
        f(fail=True)
    list(g())
    registry.span_maker = lambda *_: 1 / 0
    assert 1 == f(fail=False)

    assert [
        ("open", "f", True),
        "run",
        ("end", "f", None),
        ("open", "f", True),
        "run",
        ("end", "f", error),
        ("open", "g", False),
        ("end", "g", None),
        "run",
    ] == said


@pytest.fixture
def timer(registry):
    """``probekit.timer`` that records into the test's own registry."""

    def timer(name, attributes=None):
        durations = instrument(Histogram, name, "s", registry=registry)
        return Timer(durations, attributes, registry)

    return timer


def test_a_timer_times_a_block(timer, registry, drained):
    """Both kinds of ``with``, nested, with attributes."""

    async def main():
        async with timer("render", {"page": "cart"}):
            pass

    one = timer("render", {"page": "cart"})
    with one, one:
        pass
    asyncio.run(main())

    assert 3 == drained().count("render", page="cart")
    assert "s" == registry.instruments["render"].unit


def test_a_timer_passes_errors_and_names_them(timer, drained):
    """Exceptions are errors, the rest is not."""
    for error in (ValueError("x"), SystemExit(1)):
        with pytest.raises(type(error)) as caught, timer("render"):
            raise error
        assert error is caught.value
    recorded = drained()

    assert 1 == recorded.count("render", **{"error.type": "ValueError"})
    assert 2 == recorded.count("render")


def test_a_timer_with_bad_attributes_is_a_loss(timer, drained):
    """It does not raise into the block."""
    with timer("render", 7):
        pass
    with pytest.raises(KeyError), timer("render", 7):
        raise KeyError

    assert {("metrics", "invalid"): 2} == drained().losses


def test_a_timer_decorates(timer, drained):
    """A function of any kind."""

    @timer("render")
    def render(page):
        return page

    @timer("render")
    async def render_later(page):
        return page

    assert ("a", "b") == (render("a"), asyncio.run(render_later("b")))
    assert 2 == drained().count("render")


@pytest.mark.parametrize("counted", [False, True])
def test_what_a_pickler_takes_to_another_process_records_nowhere(registry, counted):
    """Whether it pickles a method as such, or its function and its object."""

    def f():
        raise LookupError

    twin = Wish(registry=registry, counted=counted).grant(f)
    ours = [c for c in twin.__code__.co_consts if isinstance(c, MethodType)]
    takers = [each for each in ours if isinstance(each.__self__, Witness)]
    assert CAN_WEAVE == bool(takers)
    for each in takers:
        there = pickle.loads(pickle.dumps(each.__self__))
        started_s = 0.0 if counted else 1.0
        MethodType(each.__func__, there)(LookupError(), started_s)
        getattr(there, each.__func__.__name__)(LookupError(), started_s)

    assert [] == registry.drain().problems
