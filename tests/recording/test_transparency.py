"""A probed callable looks and behaves as the bare one."""

import abc
import asyncio
import contextlib
import copy
import dataclasses
import enum
import functools
import importlib.util
import inspect
import pickle
import sys
import traceback
import types
import typing
import warnings
from pathlib import Path
from unittest import mock

import pytest

from probekit.recording.template import FILENAME
from probekit.recording.twins import twin_of

PATH = Path(__file__).with_name("subjects.py")
spec = importlib.util.spec_from_file_location("recording_subjects", PATH)
subjects = importlib.util.module_from_spec(spec)
sys.modules["recording_subjects"] = subjects
spec.loader.exec_module(subjects)

FUNCTIONS = [
    subjects.plain,
    subjects.positional_only,
    subjects.keyword_only,
    subjects.everything,
    subjects.annotated,
    subjects.our_names,
    subjects.builtin_names,
    subjects.mutable_default,
    subjects.coroutine,
    subjects.generator,
    subjects.async_generator,
    subjects.a_lambda,
    subjects.decorated,
]
OTHERS = [
    subjects.partial,
    subjects.cached,
    subjects.callable_object,
    len,
    int.bit_length,
]
IDS = {"ids": lambda subject: getattr(subject, "__name__", type(subject).__name__)}


@pytest.mark.parametrize("bare", [*FUNCTIONS, *OTHERS], **IDS)
def test_signature_is_the_bare_ones(probe, bare):
    """inspect.signature tells no difference."""
    assert inspect.signature(bare) == inspect.signature(probe(bare))


@pytest.mark.parametrize("bare", [*FUNCTIONS, *OTHERS], **IDS)
@pytest.mark.parametrize(
    "question",
    [
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        asyncio.iscoroutinefunction if sys.version_info < (3, 14) else callable,
    ],
)
def test_kind_is_the_bare_ones(probe, bare, question):
    """Frameworks that ask what a callable is get the same answer."""
    assert question(bare) == question(probe(bare))


@pytest.mark.parametrize("bare", FUNCTIONS, **IDS)
def test_facts_are_the_bare_ones(probe, bare):
    """Names, documentation, annotations, defaults, and a way back."""
    probed = probe(bare)

    assert bare is probed.__wrapped__
    assert bare.__annotations__ == probed.__annotations__
    assert typing.get_type_hints(bare) == typing.get_type_hints(probed)
    assert inspect.getsource(bare) == inspect.getsource(probed)
    for fact in ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__"):
        assert getattr(bare, fact) == getattr(probed, fact)
    assert bare.__kwdefaults__ == probed.__kwdefaults__


CALLS = [
    (subjects.plain, (1,), {}),
    (subjects.plain, (1,), {"b": 3}),
    (subjects.plain, (), {"b": 3, "a": 4}),
    (subjects.positional_only, (1,), {}),
    (subjects.positional_only, (1, 2), {"c": 3}),
    (subjects.keyword_only, (), {"a": 1}),
    (subjects.everything, (1, 2, 3, 4, 5), {"d": 6, "x": 7}),
    (subjects.everything, (1,), {"d": 6, "a": "in others"}),
    (subjects.our_names, (0, 1, 2, 3, 4), {"_pk": 5}),
    (subjects.builtin_names, (0,), {"len": 9}),
    (subjects.a_lambda, (1,), {}),
    (subjects.partial, (1,), {}),
    (subjects.cached, (1,), {}),
    (subjects.callable_object, (1,), {}),
    (subjects.decorated, (1,), {"b": 3}),
    (len, ([1, 2],), {}),
]


@pytest.mark.parametrize("bare, args, kwargs", CALLS)
def test_results_are_the_bare_ones(probe, drained, bare, args, kwargs):
    """Every way to pass an argument arrives, and the call is counted."""
    assert bare(*args, **kwargs) == probe(bare)(*args, **kwargs)
    assert [1] == list(drained().calls().values())


WRONG = [
    (subjects.plain, (), {}),
    (subjects.plain, (1, 2, 3), {}),
    (subjects.plain, (1,), {"c": 1}),
    (subjects.keyword_only, (1,), {}),
    (subjects.keyword_only, (), {}),
    (subjects.positional_only, (), {"a": 1}),
]


@pytest.mark.parametrize("bare, args, kwargs", WRONG)
def test_a_wrong_call_fails_with_the_bare_ones_words(probe, bare, args, kwargs):
    """The TypeError names the function and the argument as Python does."""
    with pytest.raises(TypeError) as expected:
        bare(*args, **kwargs)
    with pytest.raises(TypeError) as got:
        probe(bare)(*args, **kwargs)

    assert str(expected.value) == str(got.value)


def test_defaults_are_the_same_objects(probe):
    """A mutable default stays the one that the function has."""
    subjects.mutable_default().clear()
    probed = probe(subjects.mutable_default)
    probed().append(1)

    assert [1] == subjects.mutable_default()
    subjects.mutable_default().clear()


def test_changed_defaults_of_the_probed_function_count(probe):
    """As on a bare function; the original's own are its own."""

    @probe
    def f(a=1, *, b=2):
        return a, b

    f.__defaults__ = (5,)
    f.__kwdefaults__ = {"b": 6}

    assert (5, 6) == f()
    assert (1, 2) == f.__wrapped__()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_probed_function_pickles_by_reference(protocol):
    """It comes back as the very object."""
    for subject in (
        subjects.pickled,
        subjects.pickled_coroutine,
        subjects.Pickled.method,
        subjects.Pickled.static,
    ):
        assert subject is pickle.loads(pickle.dumps(subject, protocol))
        assert subject is copy.deepcopy(subject)


def test_a_probed_function_is_probed_once(probe, drained):
    """Probing again returns the same object."""
    probed = probe(lambda: 1)

    assert probed is probe(probed)
    assert probed is probe(name="other")(probed)
    probed()
    assert 1 == sum(drained().calls().values())


def test_super_properties_and_subclassing_work(probe):
    """Methods find their class, overridden ones theirs."""

    class Base:
        __slots__ = ("value",)

        @probe
        def __init__(self, value):
            self.value = value

        @property
        @probe
        def double(self):
            return 2 * self.value

        @probe
        def name(self):
            return "base"

        @classmethod
        @probe
        def make(cls, value):
            return cls(value)

        @probe
        @classmethod
        def make_too(cls, value):
            return cls(value)

        @staticmethod
        @probe
        def add(a, b):
            return a + b

        @probe
        @staticmethod
        def add_too(a, b):
            return a + b

        @probe
        @property
        def triple(self):
            return 3 * self.value

    class Derived(Base):
        __slots__ = ()

        @probe
        def name(self):
            return "derived of " + super().name()

    one = Derived.make(1)

    assert isinstance(one, Derived)
    assert isinstance(Derived.make_too(1), Derived)
    assert (2, 3) == (one.double, one.triple)
    assert "derived of base" == one.name()
    assert (3, 3) == (one.add(1, 2), Derived.add_too(1, 2))


def test_abstract_methods_stay_abstract(probe):
    """A class with one cannot be made."""

    class Abstract(abc.ABC):
        @probe
        @abc.abstractmethod
        def above(self): ...

        @abc.abstractmethod
        @probe
        def below(self): ...

    assert {"above", "below"} == Abstract.__abstractmethods__
    with pytest.raises(TypeError):
        Abstract()


def test_lru_cache_works_above_and_below(probe, drained):
    """Above a cache every call counts, below it only misses; its methods stay."""
    above = probe(functools.lru_cache(subjects.plain))
    below = functools.lru_cache(probe(subjects.generator))
    above(1), above(1), above(1)
    list(below(1)), below(1)

    assert 2 == above.cache_info().hits
    above.cache_clear()
    assert 0 == above.cache_info().currsize
    assert 3 == drained().calls()["recording_subjects.plain", None]


def test_singledispatch_cached_property_and_contextmanager_work(probe):
    """The decorators of the standard library take a probed function, and are taken."""

    @functools.singledispatch
    @probe
    def size(thing):
        return "any"

    @size.register
    @probe
    def _(thing: int):
        return "int"

    probed = probe(size)

    @probed.register
    def _(thing: str):
        return "str"

    class Holder:
        @functools.cached_property
        @probe
        def costly(self):
            return object()

    @contextlib.contextmanager
    @probe
    def opened(name):
        yield name.upper()

    holder = Holder()
    assert ["any", "int", "str"] == [size(1.0), size(1), probed("x")]
    assert holder.costly is holder.costly
    with opened("door") as name:
        assert "DOOR" == name


def test_recursion_counts_every_call(probe, drained):
    """A function that calls itself by name calls its probed self."""

    @probe
    def factorial(n):
        return n * factorial(n - 1) if n else 1

    assert 120 == factorial(5)
    assert [6] == list(drained().calls().values())


def test_mock_patches_and_specs_a_probed_function(probe, monkeypatch):
    """unittest.mock sees the signature."""
    monkeypatch.setattr(subjects, "temporary", probe(subjects.plain), raising=False)
    with mock.patch.object(subjects, "temporary", autospec=True) as double:
        double(1)
        with pytest.raises(TypeError):
            double(1, 2, 3)

    assert (1, 2) == subjects.temporary(1)


def test_dataclass_and_enum_methods_work(probe):
    """A probe on a class leaves what was generated alone."""

    @probe
    @dataclasses.dataclass(frozen=True)
    class Money:
        amount: int

        def doubled(self):
            return Money(self.amount * 2)

    @probe
    class Colour(enum.Enum):
        RED = 1

        def hex(self):
            return f"#{self.value}"

    assert Money(4) == Money(2).doubled()
    assert twin_of(Money.doubled) is not None
    assert twin_of(Money.__eq__) is None
    assert "#1" == Colour.RED.hex()
    assert [Colour.RED] == list(Colour)


def test_a_traceback_shows_one_frame_of_ours_that_says_so(probe, way):
    """A reader knows whom to blame, once; woven code has none."""

    @probe
    def fails():
        raise LookupError("x")

    with pytest.raises(LookupError) as caught:
        fails()
    files = [f.filename for f in traceback.extract_tb(caught.value.__traceback__)]
    names = [f.name for f in traceback.extract_tb(caught.value.__traceback__)]

    ours = way == "wrapped"
    assert ours == sum("probekit" in Path(file).name for file in files)
    assert ours == (FILENAME in files)
    assert 1 + ours == names.count("fails")


def test_a_warning_points_past_the_wrapper_at_the_caller_it_means(probe):
    """``stacklevel`` counts frames; those of wrappers must not be among them."""

    def old():
        warnings.warn("use new", DeprecationWarning, stacklevel=2)

    def user():
        old()

    plain, probed = [], []
    for found, wrap in ((plain, lambda f: f), (probed, probe)):
        old = wrap(old)
        user = wrap(user)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            user()
        found += [(w.filename, w.lineno) for w in caught]

    assert plain == probed
    assert __file__ == probed[0][0]


def test_a_function_with_impossible_names_is_probed_all_the_same(probe):
    """Code made by tools may have parameters that no text can spell."""

    def f(a, b):
        return a - b

    code = f.__code__.replace(co_varnames=(".0", "if"))
    odd = types.FunctionType(code, globals(), "odd")

    assert 1 == probe(odd)(3, 2)


def test_types_coroutine_stays_awaitable(probe):
    """A generator-based coroutine is awaited as before."""

    @types.coroutine
    def ticks():
        got = yield "tick"
        return got

    async def main():
        return await probe(ticks)()

    running = main()
    assert "tick" == running.send(None)
    with pytest.raises(StopIteration) as end:
        running.send("tock")
    assert "tock" == end.value.value
