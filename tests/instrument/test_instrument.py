"""What ``instrument`` takes, what it leaves, and how everything comes back."""

import gc
import importlib
import pickle
import sys
import threading
import types
import weakref

import pytest

import probekit
from probekit.errors import ConfigError
from probekit.recording.hook import modules
from probekit.recording.hook.discovery import functions_of
from probekit.recording.hook.modules import names_of
from probekit.recording.probe import Wish
from probekit.recording.weave import weaver
from probekit.recording.woven import is_woven

needs_weaving = pytest.mark.skipif(
    not weaver.CAN_WEAVE, reason="only woven code holds nothing of its module"
)

CART = """
    import dataclasses, enum, functools, json, operator
    from os.path import join

    def total(x):
        return helper(x) * 2

    def helper(x):
        if x < 0:
            raise ValueError(x)
        return x

    async def later(x):
        return x

    def steps(n):
        yield from range(n)

    async def ticks(n):
        for i in range(n):
            yield i

    class Cart:
        def __init__(self):
            self.items = []

        def add(self, item):
            self.items.append(item)
            return self

        @classmethod
        def empty(cls):
            return cls()

        @staticmethod
        def tax():
            return 2

        @property
        def size(self):
            return len(self.items)

        @functools.cached_property
        def first(self):
            return self.items[0]

        class Line:
            def price(self):
                return 1

    @dataclasses.dataclass
    class Item:
        name: str

        def label(self):
            return self.name

    double = lambda x: x * 2
    get = operator.itemgetter("x")

    def outer():
        def inner():
            return 1
        return inner

    def retried(function):
        @functools.wraps(function)
        def again(*args):
            return function(*args)
        return again

    @retried
    @functools.lru_cache
    def cached(x):
        return x
"""

TIMED = [
    "shop.cart.Cart.Line.price",
    "shop.cart.Cart.add",
    "shop.cart.Cart.empty",
    "shop.cart.Cart.tax",
    "shop.cart.Item.label",
    "shop.cart.cached",
    "shop.cart.helper",
    "shop.cart.later",
    "shop.cart.outer",
    "shop.cart.retried",
    "shop.cart.steps",
    "shop.cart.ticks",
    "shop.cart.total",
]


def test_the_functions_that_a_module_has_written_are_timed_and_no_others(shop):
    """Not generated ones, C functions, lambdas, inner functions or imports."""
    shop.write("shop.__init__", "")
    shop.load("shop.cart", CART)
    shop.instrument("shop.*")

    if weaver.CAN_WEAVE:
        assert shop.names_timed() == TIMED
        assert {} == shop.instrumentation.left
    else:
        assert set(TIMED) - set(shop.names_timed()) == {"shop.cart.ticks"}


def test_modules_imported_later_are_timed_from_their_first_call(any_shop):
    """The import hook weaves before the importing statement goes on."""
    shop = any_shop
    shop.instrument("shop.*")
    shop.write("shop.__init__", "from shop.late import f\nresult = f()")
    shop.load("shop.late", "def f(): return 1")

    assert 1 == shop.calls("shop.late.f")


def test_an_import_leaves_module_and_loader_as_they_would_be(shop):
    """Whoever asks for the loader gets the one that Python chose."""
    shop.instrument("shop_*")
    plain = shop.load("other_module", "")
    watched = shop.load("shop_module", "")

    assert type(plain.__loader__) is type(watched.__loader__)
    assert type(plain.__spec__.loader) is type(watched.__spec__.loader)
    assert set(vars(plain)) == set(vars(watched))


def test_names_copied_before_and_after_call_the_timed_function(any_shop):
    """The object is the same one under every name, so nothing has to be searched."""
    shop = any_shop
    a = shop.load("alias_a", "def f(): return 1")
    early = shop.load("alias_early", "from alias_a import f as g\nheld = [g]")
    original = id(a.f.__code__)  # the number: who keeps the code is left alone
    shop.instrument("alias_a")
    late = shop.load("alias_late", "from alias_a import f")
    a.f(), early.g(), early.held[0](), late.f()

    assert a.f is early.g is late.f
    assert 4 == shop.calls("alias_a.f")
    shop.instrumentation.undo()
    a.f(), early.g(), late.f()
    assert 4 == shop.calls("alias_a.f")
    assert {original} == {id(f.__code__) for f in (a.f, *early.held, early.g, late.f)}


def test_uninstrument_puts_back_the_very_code(any_shop):
    """Functions, code and dictionaries are what they were, object for object."""
    shop = any_shop
    shop.write("shop.__init__", "")
    cart = shop.load("shop.cart", CART)
    before = dict(vars(cart)), dict(vars(cart.Cart))
    # Numbers, not objects: who keeps a code object has his function left alone.
    codes = {
        f: (id(f.__code__), dict(vars(f))) for f in functions_of(cart, properties=True)
    }
    shop.instrument("shop.*", properties=True, dunders=True)

    assert len(TIMED) < sum(id(f.__code__) != code for f, (code, _) in codes.items())
    shop.instrumentation.undo()
    assert all(id(f.__code__) == code for f, (code, _) in codes.items())
    assert all(vars(f) == given for f, (_, given) in codes.items())
    assert before == (dict(vars(cart)), dict(vars(cart.Cart)))
    assert [] == shop.names_timed()


def test_what_was_put_back_may_be_timed_again(any_shop):
    """As often as one likes."""
    shop = any_shop
    module = shop.load("twice", "def f(): return 1")
    shop.instrument("twice")
    kept = list(shop.instrumentation)
    shop.instrumentation.undo()
    shop.instrument("twice")
    module.f()

    assert 1 == len(kept) == shop.calls("twice.f")


@needs_weaving
def test_nothing_of_ours_stays_when_everything_is_put_back(shop):
    """Not even where the garbage collector cannot see: inside code."""
    module = shop.load("leaves", "def f(): return 1\ndef g(): return 2")
    shop.instrument("leaves")
    stitches = [weakref.ref(each) for each in shop.instrumentation]
    del module.g
    shop.drain()
    shop.instrumentation.undo()
    gc.collect()

    assert [None, None] == [each() for each in stitches]


def test_functions_made_from_timed_code_come_back_too(shop):
    """Some libraries copy functions; a copy must not go on recording."""
    module = shop.load("copied", "def f(): return 1")
    shop.instrument("copied")
    copy = types.FunctionType(module.f.__code__, module.f.__globals__)
    copy()

    assert 1 == shop.calls("copied.f")
    shop.instrumentation.undo()
    copy()
    assert 1 == shop.calls("copied.f")
    assert copy.__code__ is module.f.__code__


@needs_weaving
def test_a_function_with_a_fresh_copy_of_its_code_gets_its_own_back(shop):
    """Whoever has the copy before it, too; calls under both are counted."""
    module = shop.load("fresh", "def f(): return 1")
    original = module.f.__code__
    shop.instrument("fresh")
    (stitch,) = shop.instrumentation
    copy = types.FunctionType(module.f.__code__, module.f.__globals__)
    before = module.f.__code__

    assert before is stitch.retired(before)
    assert before is not module.f.__code__
    assert (1, 1) == (module.f(), copy())
    assert 2 == shop.calls("fresh.f")
    shop.instrumentation.undo()
    assert original is module.f.__code__ is copy.__code__


def test_a_function_is_timed_once_however_often_asked(any_shop):
    """Rules may overlap; a call is one call."""
    shop = any_shop
    module = shop.load("once", "def f(): return 1")
    for _ in range(3):
        shop.instrument("once")
        shop.instrument("once*")
    module.f()

    assert 1 == shop.calls("once.f")


def test_what_is_probed_is_not_timed_twice(any_shop):
    """An explicit probe stands above a pattern."""
    shop = any_shop
    module = shop.load("probed", "def f(): return 1\ndef g(): return 2")
    module.f = Wish("mine", registry=shop.registry).grant(module.f)
    shop.instrument("probed")
    module.f(), module.g()

    assert (1, 0) == (shop.calls("mine"), shop.calls("probed.f"))
    assert 1 == shop.calls("probed.g")


def test_a_probe_on_a_timed_function_times_it_alone(any_shop, monkeypatch):
    """An explicit probe stands above a pattern, also when it comes later."""
    shop = any_shop
    monkeypatch.setattr(modules, "INSTRUMENTATION", shop.instrumentation)
    module = shop.load("later_probed", "def f(): return 1\nheld = f")
    shop.instrument("later_probed")
    module.f = Wish("mine", registry=shop.registry).grant(module.f)
    module.f(), module.held()

    assert (1, 0) == (shop.calls("mine"), shop.calls("later_probed.f"))


def test_excluded_modules_and_functions_stay_bare(shop):
    """Patterns of modules and full names of functions."""
    shop.load("pack.__init__", "")
    shop.load("pack.a", "def f(): pass\ndef g(): pass\nclass C:\n    def m(self): pass")
    shop.load("pack.vendor.__init__", "def f(): pass")
    shop.load("pack.vendor.deep", "def f(): pass")
    shop.instrument("pack.*", exclude=["pack.vendor.*", "pack.a.g", "*.C.*"])

    assert ["pack.a.f"] == shop.names_timed()


def test_a_pattern_with_a_star_means_the_package_too(shop):
    """``shop.*`` is what people write when they mean all of shop."""
    for name in ("pack.__init__", "pack.sub.__init__", "packed"):
        shop.load(name, "def f(): pass")
    shop.instrument("pack.*")

    assert ["pack.f", "pack.sub.f"] == shop.names_timed()


def test_properties_and_dunders_are_timed_on_request(shop):
    """They are many and cheap; not all of them are worth a series."""
    shop.load("shop.__init__", "")
    cart = shop.load("shop.cart", CART)
    shop.instrument("shop.*", properties=True, dunders=True)
    basket = cart.Cart().add("x")

    assert 1 == basket.size
    assert "x" == basket.first
    assert 1 == shop.calls("shop.cart.Cart.size")
    assert 1 == shop.calls("shop.cart.Cart.first")
    assert 1 == shop.calls("shop.cart.Cart.__init__")


def test_functions_inside_objects_are_found(shop):
    """A command, a task, a view: the function is where the framework put it."""
    module = shop.load(
        "commands",
        """
        import click

        @click.command()
        @click.argument("name")
        def greet(name):
            click.echo(name)

        class Task:
            def __init__(self, run):
                self.run = run

        @Task
        def work():
            return 1
        """,
    )
    shop.instrument("commands")

    assert ["commands.greet", "commands.work"] == shop.names_timed()
    assert 1 == module.work.run()
    assert 1 == shop.calls("commands.work")


def test_no_code_of_the_host_runs_while_functions_are_looked_for(shop):
    """Proxies, properties and metaclasses are not asked anything."""
    shop.load(
        "touchy",
        """
        def boom(*args):
            raise SystemExit("touched")

        class Proxy:
            __class__ = property(boom)
            __getattr__ = __eq__ = __len__ = __repr__ = __iter__ = __bool__ = boom
            __hash__ = boom

        class Meta(type):
            def __getattr__(cls, name):
                boom()

        class Sealed(metaclass=Meta):
            x = property(boom)

            def m(self):
                return 1

        proxy, sealed, listed = Proxy(), Sealed(), [Proxy()]
        del boom
        """,
    )
    shop.instrument("touchy", properties=True)

    assert ["touchy.Meta.__getattr__", "touchy.Sealed.m"] == sorted(
        {*shop.names_timed(), "touchy.Meta.__getattr__"} - {"touchy.boom"}
    )


def test_objects_that_compile_what_they_hold_keep_it_as_it_is(shop):
    """Compilers such as numba's read bytecode."""
    module = shop.load(
        "jitted",
        """
        class Dispatcher:
            def __init__(self, function):
                self.py_func = function

        Dispatcher.__module__ = "numba.core"

        @Dispatcher
        def fast(x):
            return x
        """,
    )
    shop.instrument("jitted")

    assert [] == shop.names_timed()
    assert not is_woven(module.fast.py_func.__code__)


def test_a_function_whose_code_somebody_keeps_is_left(any_shop):
    """Who keeps a code object compares it with running ones, as jinja2 does."""
    shop = any_shop
    module = shop.load(
        "keeper",
        """
        HIDDEN = set()
        def hide(f):
            HIDDEN.add(f.__code__)
            return f
        @hide
        def f(): return 1
        class A:
            @hide
            def m(self): return 1
        def g(): return 1
        """,
    )
    shop.instrument("keeper")

    assert ["keeper.g", "keeper.hide"] == shop.names_timed()
    assert {"keeper.f", "keeper.A.m"} == set(shop.instrumentation.left)
    assert module.f.__code__ in module.HIDDEN


def test_errors_are_counted_by_type_and_once_as_a_problem(any_shop):
    """Each function shows its failures; the error itself happened once."""
    shop = any_shop
    shop.load("shop.__init__", "")
    cart = shop.load("shop.cart", CART)
    shop.instrument("shop.*")
    for _ in range(3):
        with pytest.raises(ValueError, match="-1"):
            cart.total(-1)

    assert 3 == shop.calls("shop.cart.total", "ValueError")
    assert 3 == shop.calls("shop.cart.helper", "ValueError")
    assert 0 == shop.calls("shop.cart.total")
    assert ["shop.cart.helper"] == [problem.culprit for problem in shop.problems]
    assert [3] == [problem.count for problem in shop.problems]


@pytest.mark.parametrize("inner_is_probed", [True, False])
def test_an_error_through_a_probe_and_a_timed_function_is_one_problem(
    shop, inner_is_probed
):
    """Whichever of the two is nearer to the origin counts it."""
    module = shop.load(
        "mixed",
        """
        def inner():
            raise KeyError("x")

        def outer():
            inner()
        """,
    )
    probed, timed = ("inner", "outer") if inner_is_probed else ("outer", "inner")
    wish = Wish(registry=shop.registry)
    setattr(module, probed, wish.grant(getattr(module, probed)))
    shop.instrument("mixed")
    for _ in range(3):
        with pytest.raises(KeyError):
            module.outer()

    assert 3 == shop.calls(f"mixed.{timed}", "KeyError")
    assert 3 == shop.calls(f"mixed.{probed}", "KeyError")
    assert 3 == sum(problem.count for problem in shop.problems)


def test_no_call_is_lost_under_threads(any_shop):
    """Four threads at a switch interval of 10 µs."""
    shop = any_shop
    module = shop.load(
        "threads", "def f(x): return x\ndef g(x):\n    raise OSError('g')"
    )
    shop.instrument("threads")

    def work():
        for i in range(500):
            module.f(i)
            with pytest.raises(OSError, match="g"):
                module.g(i)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval_s)

    assert 2000 == shop.calls("threads.f")
    assert 2000 == shop.calls("threads.g", "OSError")


@pytest.mark.usefixtures("no_collection")
def test_a_call_at_the_end_of_the_stack_is_counted_as_lost(shop):
    """Where even our own function has no room, the host's exception passes."""
    module = shop.load("deep", "def f(n): return f(n + 1)")
    shop.instrument("deep")
    with pytest.raises(RecursionError):
        module.f(0)
    shop.drain()
    failed = shop.calls("deep.f", "RecursionError")

    assert failed > 100, (shop._calls, shop.losses)
    assert shop.losses.keys() <= {("metrics", "recursion")}
    assert failed + sum(shop.losses.values()) > 400


def test_suppressed_calls_leave_no_trace(any_shop):
    """As for probes."""
    shop = any_shop
    module = shop.load("hushed", "def f(): return 1")
    shop.instrument("hushed")
    with shop.registry.suppress():
        module.f()
    module.f()

    assert 1 == shop.calls("hushed.f")


def test_slow_calls_leave_spans_and_counts_stay_exact(any_shop):
    """``min_duration_s`` is about spans alone."""
    shop = any_shop
    module = shop.load(
        "slowly",
        """
        def f(wait):
            wait()
            return 1

        def fails():
            raise OSError("x")
        """,
    )
    left, slow_s = traced(shop), 0.1
    shop.instrument("slowly", min_duration_s=slow_s)
    for _ in range(5):
        module.f(int)
    module.f(lambda: threading.Event().wait(1.2 * slow_s))
    with pytest.raises(OSError, match="x"):
        module.fails()

    assert 6 == shop.calls("slowly.f")
    ((name, duration_s, error),) = left
    assert ("slowly.f", None) == (name, error)
    assert duration_s >= slow_s  # a slow call by its own figure, however long it took


def traced(shop):
    """Where the spans go: (name, seconds, error) of each."""
    left = []

    class Traces:
        def past(self, name, attributes, duration_s, error):
            assert {"code.function.name": name} == attributes
            left.append((name, duration_s, error))

    shop.registry.tracing = Traces()
    return left


def test_a_threshold_of_zero_gives_every_call_a_span(any_shop):
    """Failed ones with their error; none while traces are off."""
    shop = any_shop
    module = shop.load("spans", "def f(x): return 1 / x")
    shop.instrument("spans", min_duration_s=0)
    module.f(1)
    left = traced(shop)
    module.f(1)
    with pytest.raises(ZeroDivisionError) as caught:
        module.f(0)

    assert [None, caught.value] == [error for _, _, error in left]
    assert 2 == shop.calls("spans.f")


def test_a_reloaded_module_is_timed_again(shop):
    """From the next look on, a fifth of a second later."""
    module = shop.load("again", "def f(): return 1")
    shop.instrument("again")
    importlib.reload(module)
    shop.drain()
    module.f()

    assert 1 == shop.calls("again.f")


def test_the_main_program_is_known_by_its_other_name(monkeypatch):
    """Users think of ``app.py`` as ``app``."""
    main = types.ModuleType("__main__")
    main.__file__ = "/srv/app.py"

    assert {"__main__", "app"} == names_of(main)
    main.__spec__ = importlib.machinery.ModuleSpec("shop.worker", None)
    assert {"__main__", "shop.worker"} == names_of(main)


@needs_weaving
def test_functions_die_with_their_module(shop):
    """Instrumentation keeps nothing of the host alive."""
    module = shop.load("mortal", "def f(): return 1\nclass A:\n    def m(self): pass")
    shop.instrument("mortal")
    assert 2 == len(shop.names_timed())
    module.f()
    del sys.modules["mortal"], module
    gc.collect()

    assert [] == shop.names_timed()
    assert 1 == shop.calls("mortal.f")


@needs_weaving
def test_pickled_code_works_where_it_is_loaded(shop):
    """What pickles functions by value pickles the constants of their code."""
    module = shop.load("valued", "def f(): return 1")
    shop.instrument("valued", min_duration_s=1)

    for constant in module.f.__code__.co_consts:
        assert pickle.loads(pickle.dumps(constant)) is not Ellipsis


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"patterns": ["*"]}, "other people's modules"),
        ({"patterns": ["?hop"]}, "other people's modules"),
        ({"patterns": [""]}, "must be text"),
        ({"patterns": [3]}, "3"),
        ({"exclude": 3}, "list of patterns"),
        ({"exclude": [None]}, "None"),
        ({"min_duration_s": -1}, "-1"),
        ({"min_duration_s": "1"}, "'1'"),
        ({"min_duration_s": True}, "True"),
        ({"min_duration_s": float("nan")}, "nan"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(arguments, words):
    """One clear error where it is set."""
    patterns = arguments.pop("patterns", ["nothing_here"])

    with pytest.raises(ConfigError, match=words):
        probekit.instrument(*patterns, **arguments)


def test_the_public_functions_work_on_the_global_registry(tmp_path, monkeypatch):
    """``probekit.instrument`` and back."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "public_shop.py").write_text("def f(): return 1\n")
    module = importlib.import_module("public_shop")
    code = id(module.f.__code__)
    probekit.instrument("public_shop")
    try:
        assert code != id(module.f.__code__)
    finally:
        probekit.uninstrument()

    assert code == id(module.f.__code__)


def test_the_switch_in_the_environment_leaves_everything_bare(shop, monkeypatch):
    """``PROBEKIT_DISABLE=1``: zero cost."""
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")
    module = shop.load("disabled", "def f(): return 1")
    code = id(module.f.__code__)
    probekit.instrument("disabled")

    assert code == id(module.f.__code__)


def test_a_function_whose_code_is_not_known_stays_as_it_is(shop, monkeypatch):
    """The reason is kept for whoever asks."""

    def refuse(code, strands):
        raise weaver.Unweavable("an odd form")

    monkeypatch.setattr(weaver, "CAN_WEAVE", True)
    monkeypatch.setattr(weaver, "weave", refuse)
    module = shop.load("odd", "def f(): return 1")
    shop.instrument("odd")

    assert {"odd.f": "an odd form"} == shop.instrumentation.left
    assert 1 == module.f()
