"""``@probe`` on a class: its own methods, by the rules of ``instrument``."""

import abc
import asyncio
import contextlib
import dataclasses
import functools
import typing
from collections import namedtuple

import pytest

import probekit
from probekit.recording.functions.wrapper import is_wrapper

DECORATED = """
import contextlib, functools

def twice(function):
    @functools.wraps(function)
    def inner(*args):
        function(*args)
        return function(*args)
    return inner

class Decorated:
    @twice
    def wrapped(self):
        return 1

    @functools.lru_cache
    def cached(self):
        return 2

    @contextlib.contextmanager
    def scope(self):
        yield 3

    @functools.singledispatchmethod
    def chosen(self, x):
        return "object"

    @chosen.register
    def number(self, x: int):
        return "int"
"""


class Base:
    def inherited(self):
        return 1


class Task(Base):
    """A class whose own methods are wanted."""

    limit = 3

    def __init__(self):
        self.done = 0

    def run(self):
        self.done += 1
        return self.done

    def _inner(self):
        return "inner"

    also = _inner

    @classmethod
    def make(cls):
        return cls()

    @staticmethod
    def double(x):
        return 2 * x

    @property
    def size(self):
        return self.done

    async def wait(self):
        await asyncio.sleep(0)

    borrowed = functools.wraps(len)(lambda self: 0)
    alias = staticmethod(len)
    short = lambda self: 1  # noqa: E731

    class Nested:  # noqa: D106
        def run(self):
            return "nested"

    class Wanted(typing.Protocol):  # noqa: D106
        def size(self) -> int:
            return 1


def copied(cls):
    """A copy that a test may change."""
    space = {k: v for k, v in vars(cls).items() if k not in {"__dict__", "__weakref__"}}
    return type(cls)(cls.__name__, cls.__bases__, space)


def short_names(drained):
    """Calls by the part of the name behind the class's."""
    return {
        name.partition("Task.")[2]: count
        for (name, _), count in drained.calls().items()
    }


def test_a_class_has_its_own_methods_probed(probe, drained):
    """Plain, class and static ones, coroutines, nested classes; nothing foreign."""
    nested = Task.Nested.run
    cls = probe(copied(Task))
    try:
        task = cls.make()
        task.run(), task._inner(), task.also(), task.double(1), cls.double(2)
        asyncio.run(task.wait())
        task.borrowed(), task.alias([]), task.short(), task.inherited(), task.size
        cls.Nested().run()
    finally:
        Task.Nested.run = nested

    assert {
        "make": 1,
        "run": 1,
        "_inner": 2,  # under both of its names
        "double": 2,
        "wait": 1,
        "Nested.run": 1,
    } == short_names(drained())
    assert not is_wrapper(Task.Wanted.size)


def test_a_class_inside_a_function_counts_too(probe, drained):
    """Its methods' names say where they are; those of its parent stay bare."""

    class Child(Task):
        def more(self):
            return self.run()

    probed = probe(Child)
    Child().more()

    assert probed is Child
    name = f"{Child.__module__}.{Child.__qualname__}.more"
    assert {(name, None): 1} == drained().calls()


def test_a_name_on_a_class_stands_before_the_methods(probe, drained):
    """So that they can be told apart."""

    @probe(name="shop.cart", attributes={"team": "billing"})
    class Cart:
        def add(self):
            return 1

        class Line:
            def add(self):
                return 2

        @staticmethod
        @functools.cache
        def price():
            return 3

    Cart().add()
    Cart.Line().add()
    Cart.price()

    assert {
        ("shop.cart.add", None): 1,
        ("shop.cart.Line.add", None): 1,
        ("shop.cart.price", None): 1,
    } == drained().calls(team="billing")


def test_of_decorated_methods_the_function_inside_is_timed(probe, drained):
    """As ``instrument`` does it: a hit of a cache is no call."""
    # With a file: else it would be generated code.
    space = {"__name__": "decorated_shop"}
    exec(compile(DECORATED, __file__, "exec"), space)
    cls = space["Decorated"]
    before = dict(vars(cls))
    probe(cls)
    thing = cls()
    assert [1, 2, 2] == [thing.wrapped(), thing.cached(), thing.cached()]
    with thing.scope() as value:
        assert 3 == value
    assert ["int", "object"] == [thing.chosen(1), thing.chosen("")]
    calls = {n.rpartition(".")[2]: c for (n, _), c in drained().calls().items()}

    assert {"wrapped": 2, "cached": 1, "scope": 1, "chosen": 1, "number": 1} == calls
    assert before == dict(vars(cls))


def test_generated_and_abstract_methods_stay_what_they_are(probe, drained):
    """No file has the code of the one; nobody may lose the mark of the other."""

    @probe
    @dataclasses.dataclass(order=True)
    class Money:
        amount: int

        def twice(self):
            return Money(self.amount * 2)

    @probe
    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self): ...

    @probe
    class Point(namedtuple("Point", "x")):  # noqa: PYI024, SLOT002
        def norm(self):
            return abs(self.x)

    assert Money(2) == Money(1).twice()
    assert 1 == Point(-1)._replace(x=-1).norm()
    assert {"area"} == Shape.__abstractmethods__
    with pytest.raises(TypeError):
        Shape()
    names = {n.rpartition(".")[2] for n, _ in drained().calls()}
    assert {"twice", "norm"} == names


def test_a_class_is_probed_once_however_often_asked(probe, drained):
    """By twins and by what is woven."""

    class Thing:
        def plain(self):
            return 1

        @contextlib.contextmanager
        def scope(self):
            yield

    for _ in range(2):
        probe(Thing)
    Thing().plain()
    with Thing().scope():
        pass

    assert [1, 1] == list(drained().calls().values())


def test_a_metaclass_that_refuses_keeps_its_methods(probe, caplog):
    """The class works; the logger is told."""

    class Sealed(type):
        def __setattr__(cls, name, value):
            raise TypeError("sealed")

    @probe
    class Thing(metaclass=Sealed):
        def plain(self):
            return 1

    assert 1 == Thing().plain()
    assert "sealed" in caplog.text


def test_what_is_probed_in_a_class_is_not_instrumented_again():
    """Nor taken back by ``uninstrument``."""

    @probekit.probe
    class Thing:
        @contextlib.contextmanager
        def scope(self):
            yield

    code = Thing.scope.__wrapped__.__code__
    probekit.uninstrument()

    assert code is Thing.scope.__wrapped__.__code__
