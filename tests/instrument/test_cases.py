"""The table of cases: what must work on an instrumented function as on a bare one.

Each case is a module whose ``check()`` asserts; it runs bare, then instrumented, and
one of its functions must have been counted. Nothing in a case knows of probekit.
"""

import asyncio  # noqa: F401 - cases use it; imported here, its cost is not theirs
import sys
import unittest.mock  # noqa: F401

import pytest

HEAD = """
import abc, asyncio, contextlib, copy, dataclasses, enum, functools, gc, inspect, pickle
import sys, traceback, types, typing, unittest.mock, warnings
"""

# Name of the case: (function that must have been counted, text).
CASES = {
    "the exception passes as the same object": (
        "f",
        """
        ERROR = ValueError("x")
        def f():
            raise ERROR
        def check():
            try:
                f()
            except ValueError as error:
                assert error is ERROR
                assert error.__context__ is None and error.__cause__ is None
        """,
    ),
    "a traceback taken off": (
        "f",
        """
        def f():
            try:
                raise ValueError("x")
            except ValueError as error:
                error.__traceback__ = None
                raise
        def g():
            try:
                f()
            except ValueError as error:
                raise error.with_traceback(None)
        def check():
            for function in (f, g):
                try:
                    function()
                except ValueError as error:
                    assert error.args == ("x",) and error.__context__ is None
        """,
    ),
    "cause and context stay": (
        "f",
        """
        def f():
            try:
                {}["a"]
            except KeyError as error:
                raise ValueError("x") from error
        def check():
            try:
                f()
            except ValueError as error:
                assert type(error.__cause__) is KeyError
                assert error.__context__ is error.__cause__
        """,
    ),
    "an outer handler sees its own exception again": (
        "f",
        """
        def f():
            try:
                raise KeyError("inner")
            except KeyError:
                pass
            return sys.exc_info()[1]
        def check():
            try:
                raise ValueError("outer")
            except ValueError as outer:
                assert f() is outer
                assert sys.exc_info()[1] is outer
        """,
    ),
    "locals are the function's own": (
        "f",
        """
        def f(a, *, b=2):
            c = 3
            return locals(), dir()
        def check():
            found, names = f(1)
            assert found == {"a": 1, "b": 2, "c": 3}
            assert names == ["a", "b", "c"]
        """,
    ),
    "a generator closed early": (
        "g",
        """
        SEEN = []
        def g():
            try:
                yield 1
            finally:
                SEEN.append("closed")
        def plain():
            yield 1
        def check():
            SEEN.clear()
            it = g()
            assert next(it) == 1
            it.close()
            assert SEEN == ["closed"]
            it = plain()
            next(it)
            it.close()
            assert list(it) == []
        """,
    ),
    "a generator that refuses to close": (
        "g",
        """
        def g():
            while True:
                try:
                    yield 1
                except GeneratorExit:
                    pass
                else:
                    continue
                yield 2
                return
        def check():
            it = g()
            next(it)
            try:
                it.close()
            except RuntimeError as error:
                assert "ignored GeneratorExit" in str(error)
            else:
                raise AssertionError
            it.close()
        """,
    ),
    "send, throw and the value of StopIteration": (
        "g",
        """
        def g():
            got = yield 1
            try:
                yield got
            except KeyError:
                return "thrown"
        def outer():
            return (yield from g())
        def check():
            it = g()
            assert next(it) == 1 and it.send(5) == 5
            try:
                it.throw(KeyError("x"))
            except StopIteration as stop:
                assert stop.value == "thrown"
            it = outer()
            next(it), it.send(1)
            try:
                it.throw(KeyError("x"))
            except StopIteration as stop:
                assert stop.value == "thrown"
        """,
    ),
    "StopIteration inside a generator becomes RuntimeError": (
        "g",
        """
        def g():
            yield 1
            raise StopIteration
        def check():
            it = g()
            next(it)
            try:
                next(it)
            except RuntimeError as error:
                assert type(error.__cause__) is StopIteration
            else:
                raise AssertionError
        """,
    ),
    "StopIteration from a plain function passes": (
        "f",
        """
        def f():
            raise StopIteration(3)
        def check():
            try:
                f()
            except StopIteration as stop:
                assert stop.value == 3
        """,
    ),
    "contextmanager": (
        "scope",
        """
        @contextlib.contextmanager
        def scope():
            try:
                yield 1
            except KeyError:
                pass
        def check():
            with scope() as value:
                assert value == 1
                raise KeyError("swallowed")
            try:
                with scope():
                    raise ValueError("passed")
            except ValueError:
                pass
        """,
    ),
    "asynccontextmanager": (
        "scope",
        """
        @contextlib.asynccontextmanager
        async def scope():
            try:
                yield 1
            except KeyError:
                pass
        async def use():
            async with scope() as value:
                assert value == 1
                raise KeyError
        def check():
            asyncio.run(use())
        """,
    ),
    "an async generator's athrow and aclose": (
        "g",
        """
        SEEN = []
        async def g():
            try:
                yield 1
                yield 2
            except KeyError:
                yield "thrown"
            finally:
                await asyncio.sleep(0)
                SEEN.append("end")
        async def use():
            it = g()
            assert await it.__anext__() == 1
            assert await it.athrow(KeyError("x")) == "thrown"
            await it.aclose()
            it = g()
            await it.__anext__()
            await it.aclose()
            assert [x async for x in g()] == [1, 2]
            assert SEEN == ["end"] * 3
        def check():
            SEEN.clear()
            asyncio.run(use())
        """,
    ),
    "a cancelled task": (
        "wait",
        """
        async def wait():
            await asyncio.sleep(60)
        async def use():
            task = asyncio.ensure_future(wait())
            await asyncio.sleep(0)
            task.cancel("reason")
            try:
                await task
            except asyncio.CancelledError as error:
                # 3.10 loses the message in some chains of coroutines.
                assert error.args == ("reason",) or sys.version_info < (3, 11)
            assert task.cancelled()
        def check():
            asyncio.run(use())
        """,
    ),
    "async with, async for and comprehensions": (
        "f",
        """
        async def numbers():
            for i in range(3):
                await asyncio.sleep(0)
                yield i
        async def f():
            async with asyncio.Lock():
                return [x async for x in numbers()]
        def check():
            assert asyncio.run(f()) == [0, 1, 2]
        """,
    ),
    "what inspect says": (
        "f",
        """
        def f(a, /, b: int = 2, *args, c, d=4, **kw) -> str:
            "Doc."
            return "x"
        async def co(): pass
        def gen(): yield
        async def agen(): yield
        def check():
            assert str(inspect.signature(f)) == (
                "(a, /, b: int = 2, *args, c, d=4, **kw) -> str")
            assert f.__doc__ == "Doc." and f.__name__ == f.__qualname__ == "f"
            assert f.__module__ == __name__
            assert inspect.getsource(f).startswith("def f(a, /")
            assert inspect.iscoroutinefunction(co)
            assert inspect.isgeneratorfunction(gen)
            assert inspect.isasyncgenfunction(agen)
            assert f(1, c=3) == "x"
        """,
    ),
    "super and __class__": (
        "B.m",
        """
        class A:
            def m(self):
                return "A"
        class B(A):
            def m(self):
                return super().m() + __class__.__name__
        def check():
            assert B().m() == "AB"
            class C(B):
                def m(self):
                    return super().m() + "C"
            assert C().m() == "ABC"
        """,
    ),
    "lru_cache over it": (
        "f",
        """
        @functools.lru_cache(maxsize=None)
        def f(x):
            return object()
        def check():
            assert f(1) is f(1)
            assert f.cache_info().hits >= 1
            f.cache_clear()
        """,
    ),
    "singledispatch": (
        "f",
        """
        @functools.singledispatch
        def f(x):
            return "object"
        @f.register
        def _(x: int):
            return "int"
        class D:
            @functools.singledispatchmethod
            def m(self, x):
                return "object"
            @m.register
            def _(self, x: str):
                return "str"
        def check():
            assert (f(1), f(""), D().m(1), D().m("")) == (
                "int", "object", "object", "str")
            assert f.dispatch(int)(1) == "int"
        """,
    ),
    "singledispatchmethod": (
        "D.m",
        """
        class D:
            @functools.singledispatchmethod
            def m(self, x):
                return "object"
            @m.register
            def number(self, x: int):
                return "int"
        def check():
            assert (D().m(1), D().m("")) == ("int", "object")
        """,
    ),
    "cached_property and property": (
        "A.c",
        """
        class A:
            @functools.cached_property
            def c(self):
                return object()
            @property
            def p(self):
                return self._p
            @p.setter
            def p(self, value):
                self._p = value
        def f():
            a = A()
            a.p = 3
            assert a.p == 3 and a.c is a.c and "c" in vars(a)
        def check():
            f()
        """,
    ),
    "abstract methods stay abstract": (
        "B.m",
        """
        class A(abc.ABC):
            @abc.abstractmethod
            def m(self):
                return 1
            @classmethod
            @abc.abstractmethod
            def c(cls): ...
        class B(A):
            def m(self):
                return super().m()
            @classmethod
            def c(cls):
                return cls
        def check():
            assert A.__abstractmethods__ == {"m", "c"}
            try:
                A()
            except TypeError:
                pass
            else:
                raise AssertionError
            assert B().m() == 1 and B.c() is B
        """,
    ),
    "descriptors and __set_name__": (
        "f",
        """
        class Named:
            def __set_name__(self, owner, name):
                self.name = name
            def __get__(self, instance, owner=None):
                return self if instance is None else self.name
        class A:
            x = Named()
            def m(self):
                return self.x
        def f():
            return A().m(), A.x.name
        def check():
            assert f() == ("x", "x")
            assert A.__dict__["m"].__get__(A()) .__func__ is A.m
        """,
    ),
    "metaclasses": (
        "A.m",
        """
        class Meta(type):
            def __new__(meta, name, bases, space):
                space["made"] = [k for k, v in space.items()
                                 if isinstance(v, types.FunctionType)]
                return super().__new__(meta, name, bases, space)
            def on_class(cls):
                return cls.__name__
            def __setattr__(cls, name, value):
                raise TypeError("sealed")
        class A(metaclass=Meta):
            def m(self):
                return 1
        def check():
            assert A.on_class() == "A" and A.made == ["m"] and A().m() == 1
        """,
    ),
    "slots": (
        "A.m",
        """
        class A:
            __slots__ = ("x",)
            def m(self):
                self.x = 1
                return self.x
        def check():
            assert A().m() == 1 and not hasattr(A(), "__dict__")
        """,
    ),
    "typing.overload": (
        "f",
        """
        @typing.overload
        def f(x: int) -> int: ...
        @typing.overload
        def f(x: str) -> str: ...
        def f(x):
            return x
        def check():
            assert f(1) == 1
            if sys.version_info >= (3, 11):
                assert len(typing.get_overloads(f)) == 2
        """,
    ),
    "type hints": (
        "f",
        """
        def f(x: "int", y: "Later | None" = None) -> "Later": return Later()
        class Later: pass
        def check():
            f(1)
            assert typing.get_type_hints(f)["return"] is Later
        """,
    ),
    "copy and pickle of instances and functions": (
        "A.m",
        """
        class A:
            def __init__(self):
                self.x = [1]
            def m(self):
                return self.x
        def g(): pass
        def check():
            a = A()
            for b in (copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
                assert b.m() == [1]
            assert pickle.loads(pickle.dumps(g)) is g
            assert copy.deepcopy(g) is g
            assert pickle.loads(pickle.dumps(a.m))() == [1]
        """,
    ),
    "unittest.mock.patch": (
        "f",
        """
        def f():
            return g()
        def g():
            return "real"
        class A:
            def m(self): return 1
        def check():
            me, original = sys.modules[__name__], g
            with unittest.mock.patch.object(me, "g", return_value="mock") as mocked:
                assert f() == "mock"
            assert g is original and f() == "real"
            with unittest.mock.patch.object(A, "m", autospec=True) as mocked:
                a = A()
                a.m()
                mocked.assert_called_once_with(a)
            spec = unittest.mock.create_autospec(g)
            spec()
            try:
                spec(1)
            except TypeError:
                pass
            else:
                raise AssertionError
        """,
    ),
    "identity in registries made before": (
        "f",
        """
        REGISTRY = {}
        def register(function):
            REGISTRY[function.__name__] = function
            return function
        @register
        def f():
            return 1
        ALIAS, BOUND = f, functools.partial(f)
        def check():
            assert REGISTRY["f"] is f is ALIAS is BOUND.func
            assert REGISTRY["f"]() == BOUND() == 1
        """,
    ),
    "attributes of functions": (
        "f",
        """
        def f():
            f.count += 1
            return f.count
        f.count = 0
        def check():
            f.count = 0
            assert f() == 1 and f() == 2
            assert set(vars(f)) - {"__wrapped__"} == {"count"}
        """,
    ),
    "functools.wraps around it": (
        "f",
        """
        def twice(function):
            @functools.wraps(function)
            def inner(*args):
                return function(*args) * 2
            return inner
        @twice
        @twice
        def f(x):
            return x
        def check():
            assert f(1) == 4
            assert f.__wrapped__.__wrapped__.__name__ == "f"
            assert str(inspect.signature(f)) == "(x)"
        """,
    ),
    "dataclasses, enums and named tuples": (
        "Money.twice",
        """
        @dataclasses.dataclass(order=True)
        class Money:
            amount: int
            def twice(self):
                return Money(self.amount * 2)
        class Colour(enum.Enum):
            RED = 1
            def hex(self):
                return f"#{self.value}"
        class Point(typing.NamedTuple):
            x: int
            def norm(self):
                return abs(self.x)
        def check():
            assert Money(1).twice() == Money(2) and Money(1) < Money(2)
            assert [c.name for c in Colour] == ["RED"] and Colour.RED.hex() == "#1"
            assert Point(-1).norm() == 1 and Point(1)._replace(x=2).x == 2
        """,
    ),
    "protocols": (
        "f",
        """
        @typing.runtime_checkable
        class Sized(typing.Protocol):
            def size(self) -> int: ...
        class Box:
            def size(self): return 1
        def f():
            return isinstance(Box(), Sized), isinstance(1, Sized)
        def check():
            assert f() == (True, False)
        """,
    ),
    "weak references and hashes": (
        "f",
        """
        import weakref
        def f(): return 1
        def check():
            assert weakref.ref(f)() is f
            assert {f: 1}[f] == 1 and f() == 1
            hash(f.__code__)
            assert f.__code__ == f.__code__ and f.__code__ in {f.__code__}
        """,
    ),
    "arguments are released": (
        "f",
        """
        import weakref
        class Thing: pass
        def f(thing):
            return None
        def g(thing):
            raise ValueError
        def check():
            thing = Thing()
            ref = weakref.ref(thing)
            f(thing)
            try:
                g(thing)
            except ValueError:
                pass
            del thing
            assert ref() is None
        """,
    ),
    "many returns, loops, with and finally": (
        "f",
        """
        LOG = []
        @contextlib.contextmanager
        def scope(name):
            LOG.append(name)
            try:
                yield name
            finally:
                LOG.append("/" + name)
        def f(x):
            for i in range(5):
                with scope("a"):
                    try:
                        if x == i:
                            return i
                        if x == i + 10:
                            continue
                        if x == 20:
                            break
                    finally:
                        LOG.append(i)
            else:
                return "else"
            while True:
                try:
                    return "while"
                finally:
                    LOG.append("f")
        def check():
            assert [f(x) for x in (0, 3, 12, 20, 9)] == [0, 3, "else", "while", "else"]
            assert LOG.count("a") == LOG.count("/a")
        """,
    ),
    "match, walrus, star expressions": (
        "f",
        """
        def f(x):
            match x:
                case {"k": [first, *rest]} if (n := len(rest)) > 1:
                    return first, n
                case str() as text:
                    return text
                case _:
                    return None
        def check():
            assert f({"k": [1, 2, 3]}) == (1, 2) and f("a") == "a" and f(3) is None
        """,
    ),
    "closures and nonlocal": (
        "f",
        """
        def f(start):
            total = start
            def add(x):
                nonlocal total
                total += x
                return total
            return add
        def check():
            add = f(1)
            assert add(2) == 3 and add(3) == 6
        """,
    ),
    "recursion": (
        "fact",
        """
        def fact(n):
            return 1 if n < 2 else n * fact(n - 1)
        def check():
            assert fact(20) == 2432902008176640000
        """,
    ),
    "doctests are found": (
        "f",
        """
        import doctest
        def f(x):
            '''
            >>> f(1)
            2
            '''
            return x + 1
        class A:
            def m(self):
                '''
                >>> A().m()
                3
                '''
                return 3
        def check():
            me = sys.modules[__name__]
            found = {t.name.rpartition(".")[2]: t.lineno
                     for t in doctest.DocTestFinder().find(me) if t.examples}
            assert set(found) == {"f", "m"}
            assert None not in found.values()
            assert doctest.testmod(me).failed == 0
        """,
    ),
    "hypothesis tests": (
        "holds",
        """
        from hypothesis import given, settings, strategies
        @settings(max_examples=5, database=None, deadline=None)
        @given(strategies.integers(), strategies.text())
        def holds(number, text):
            assert number == number
        def check():
            holds()
        """,
    ),
    "pytest fixtures": (
        "f",
        """
        import pytest
        @pytest.fixture
        def f():
            yield 1
        def check():
            # The fixture's own function, as pytest finds and runs it.
            inner = getattr(f, "_fixture_function", None) or inspect.unwrap(f)
            assert inspect.isgeneratorfunction(inner)
            it = inner()
            assert next(it) == 1 and next(it, "end") == "end"
        """,
    ),
    "threads": (
        "f",
        """
        import threading
        def f(out): out.append(threading.get_ident())
        def check():
            out = []
            thread = threading.Thread(target=f, args=(out,))
            thread.start(); thread.join()
            assert len(out) == 1
        """,
    ),
    "warnings point at the line they mean": (
        "old",
        """
        def old():
            warn()
        def warn():
            warnings.warn("use new", DeprecationWarning, stacklevel=3)
        def check():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                old()
            line = check.__code__.co_firstlineno + 3
            if "skipped like importlib" in check.__code__.co_filename:
                line = caught[0].lineno
            assert (caught[0].filename, caught[0].lineno) == (__file__, line)
        """,
    ),
}

if sys.version_info >= (3, 11):
    CASES["except* and groups"] = (
        "f",
        """
        def f(*errors):
            found = []
            try:
                raise ExceptionGroup("g", errors)
            except* ValueError as group:
                found += group.exceptions
            except* KeyError:
                pass
            return len(found)
        def check():
            assert f(ValueError(1), KeyError(2)) == 1
            try:
                f(ValueError(1), OSError(2))
            except ExceptionGroup as group:
                assert [type(e) for e in group.exceptions] == [OSError]
            else:
                raise AssertionError
        """,
    )

# Where the code stands in a frame of its own, only these see it: who counts frames.
FRAMES = {
    "frames are counted as before": (
        "f",
        """
        def f(): return sys._getframe(1).f_code.co_name
        def g(): return f()
        def names(): return [s.function for s in inspect.stack()[:3]]
        def outer(): return names()
        def check():
            assert g() == "g"
            assert outer() == ["names", "outer", "check"]
        """,
    ),
    "the code's file and line stay": (
        "f",
        """
        def f(): return 1
        def check():
            assert f.__code__.co_filename == __file__ and f() == 1
            assert f.__code__.co_firstlineno == inspect.getsourcelines(f)[1]
            assert f.__code__.co_varnames == () and f.__code__.co_freevars == ()
        """,
    ),
    "tracebacks have no frame of ours": (
        "f",
        """
        def f(): raise ValueError
        def g(): f()
        def check():
            try:
                g()
            except ValueError as error:
                frames = traceback.extract_tb(error.__traceback__)
                assert [each.name for each in frames] == ["check", "g", "f"]
                assert [each.line for each in frames][1:] == [
                    "def g(): f()", "def f(): raise ValueError"]
        """,
    ),
    "changed defaults are seen": (
        "f",
        """
        def f(b=2): return b
        def check():
            f.__defaults__ = (7,)
            assert "b=7" in str(inspect.signature(f)) and f() == 7
            f.__defaults__ = (2,)
        """,
    ),
    "a recursion goes as deep as before": (
        "depth",
        """
        def depth(n):
            try:
                return depth(n + 1)
            except RecursionError:
                return n
        LIMITS = []
        def check():
            gc.collect()  # nobody's finaliser shall run at the end of the stack
            gc.disable()
            LIMITS.append(depth(0))
            gc.enable()
            # On 3.11 a call in C needs one place of the stack, the leaf's clock too.
            assert max(LIMITS) - min(LIMITS) <= (sys.version_info < (3, 12)), LIMITS
        """,
    ),
    "debuggers see the same lines": (
        "f",
        """
        def f(x):
            # a comment
            if x:
                for i in range(2):
                    x += i
                return x
            try:
                return [
                    y
                    for y in (1, 2)
                ]
            finally:
                x = 0
        def fails():
            raise ValueError
        def gen():
            yield 1
            yield 2
        def events(function, *args):
            seen = []
            def trace(frame, event, arg):
                if frame.f_code.co_name == function.__name__:
                    seen.append((event, frame.f_lineno))
                    return trace
            old = sys.gettrace()
            sys.settrace(trace)
            try:
                out = function(*args)
                if hasattr(out, "__next__"):
                    list(out)
            except ValueError:
                pass
            finally:
                sys.settrace(old)
            return seen
        SEEN = []
        def check():
            SEEN.append([events(f, 0), events(f, 1), events(gen)])
            assert SEEN[0] == SEEN[-1]
            assert events(fails)[:3] == [("call", fails.__code__.co_firstlineno),
                ("line", fails.__code__.co_firstlineno + 1),
                ("exception", fails.__code__.co_firstlineno + 1)]
        """,
    ),
}


def run(shop, case, table):
    """Run the case bare, then instrumented; the function's calls in the second."""
    function, text = table[case]
    name = f"case_{abs(hash(case)) % 10**8}"
    lines = [line[8:] if line[:8].isspace() else line for line in text.splitlines()]
    module = shop.load(name, HEAD + "\n".join(lines))
    module.check()
    originals = {k: v for k, v in vars(module).items() if callable(v)}
    shop.instrument(name, exclude=[f"{name}.check"], properties=True)
    module.check()
    assert {k: v for k, v in vars(module).items() if callable(v)} == originals
    shop.drain()
    calls = sum(
        count
        for (found, _), count in shop._calls.items()
        if found == f"{name}.{function}"
    )
    shop.instrumentation.undo()
    module.check()
    return calls, f"{name}.{function}"


@pytest.mark.parametrize("case", CASES)
def test_an_instrumented_function_behaves_as_the_bare_one(any_shop, case):
    """Bare, instrumented and put back: the same module holds the same assertions."""
    calls, name = run(any_shop, case, CASES)

    asyncgen = any_shop.engine == "shrouded" and name in any_shop.instrumentation.left
    assert calls > 0 or asyncgen or "async" in case
    assert {} == any_shop.losses


@pytest.mark.parametrize("case", FRAMES)
@pytest.mark.skipif(
    not (3, 11) <= sys.version_info[:2] <= (3, 13), reason="no frame-free engine"
)
def test_no_frame_stands_around_an_instrumented_function(shop, case):
    """Who counts frames, lines or the depth of the stack counts what he did before."""
    calls, _ = run(shop, case, FRAMES)

    assert calls > 0
