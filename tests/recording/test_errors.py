"""Errors are counted by type, grouped by place, and never touched."""

import asyncio
import gc
import sys
import threading
import weakref
from pathlib import Path

import pytest

import probekit
from probekit.recording.errors.group import BURST
from probekit.recording.errors.stack import OURS, Place
from probekit.recording.events import record_error


class ShopError(Exception):
    """An application's own error; unlike built-in ones it can be referred to weakly."""


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("base")],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_exception_is_timed_and_passes(probe, drained, error):
    """It is a success without a problem, and the very object arrives."""

    @probe(name="f")
    def f():
        raise error

    with pytest.raises(type(error)) as caught:
        f()

    assert error is caught.value
    recorded = drained()
    assert {("f", None): 1} == recorded.calls()
    assert [] == recorded.problems


def test_the_exception_passes_unchanged(probe):
    """The same object, cause, context, attributes, and one frame more."""
    cause = KeyError("cause")
    error = ShopError("x")

    @probe
    def f():
        try:
            raise LookupError("context")
        except LookupError:
            raise error from cause

    with pytest.raises(ShopError) as caught:
        f()

    assert error is caught.value
    assert cause is error.__cause__
    assert isinstance(error.__context__, LookupError)
    assert error.__context__.__context__ is None
    assert {} == vars(error)
    assert ("x",) == error.args


def test_stop_iteration_from_a_plain_function_passes(probe):
    """An iterator's ``__next__`` may be probed."""

    @probe
    def step():
        raise StopIteration("value")

    with pytest.raises(StopIteration) as caught:
        step()

    assert "value" == caught.value.value


def test_nothing_keeps_an_exception_alive(probe, registry):
    """Not the registry, not a group, not a frame, not a cycle."""

    class Big:
        pass

    @probe
    def inner(big):
        raise ShopError("x")

    @probe
    def outer(big):
        inner(big)

    def once():
        big = Big()
        try:
            outer(big)
        except ShopError as error:
            record_error(registry, error, {"a": 1})
            return weakref.ref(error), weakref.ref(big)

    gc.collect()
    gc.disable()
    try:
        references = [once() for _ in range(3)]

        assert [(None, None)] * 3 == [(error(), big()) for error, big in references]
    finally:
        gc.enable()


def test_error_type_has_its_module_and_builtins_have_none(probe, drained):
    """As the semantic conventions want it."""

    @probe(name="f")
    def f(error):
        raise error

    for error in (ShopError(), ValueError()):
        with pytest.raises(type(error)):
            f(error)

    own = f"{__name__}.ShopError"
    assert {("f", own): 1, ("f", "ValueError"): 1} == drained().calls()


def test_one_exception_through_three_probes_is_one_problem(probe, drained):
    """Each probe's series has it, the problem and the event are one."""

    @probe(name="inner")
    def inner():
        raise ShopError("x")

    @probe(name="middle")
    def middle():
        inner()

    @probe(name="outer")
    def outer():
        middle()

    for _ in range(3):
        with pytest.raises(ShopError):
            outer()
    recorded = drained()

    own = f"{__name__}.ShopError"
    assert {(name, own): 3 for name in ("inner", "middle", "outer")} == recorded.calls()
    assert [3] == [problem.count for problem in recorded.problems]
    assert 3 == len(recorded.events)
    assert "inner" == recorded.events[0].attributes["code.function.name"]


def test_an_exception_raised_again_later_is_a_new_occurrence(probe, drained):
    """One object raised in four calls is four errors, however long its traceback."""
    singleton = ShopError("always the same")

    @probe(name="f")
    def f():
        raise singleton

    for _ in range(4):
        with pytest.raises(ShopError):
            f()

    assert [4] == [problem.count for problem in drained().problems]


def test_an_exception_caught_and_raised_again_inside_is_one(probe, drained):
    """``raise`` in a handler between two probes changes nothing."""

    @probe
    def inner():
        raise ShopError("x")

    @probe
    def outer():
        try:
            inner()
        except ShopError as error:
            kept = error
        raise kept

    with pytest.raises(ShopError):
        outer()

    assert [1] == [problem.count for problem in drained().problems]


def test_an_exception_carried_from_another_thread_is_one(probe, drained):
    """The call that waits for it began before it was raised."""

    @probe
    def work(box):
        raise ShopError("x")

    @probe
    def wait():
        box = []

        def run():
            try:
                work(box)
            except ShopError as error:
                box.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        raise box.pop()

    with pytest.raises(ShopError):
        wait()

    assert [1] == [problem.count for problem in drained().problems]


def test_another_exception_from_a_handler_is_another_problem(probe, drained):
    """A translated error has its own type and place."""

    @probe
    def inner():
        raise ShopError("x")

    @probe
    def outer():
        try:
            inner()
        except ShopError as error:
            raise RuntimeError("y") from error

    with pytest.raises(RuntimeError):
        outer()

    assert {f"{__name__}.ShopError", "RuntimeError"} == {
        problem.type for problem in drained().problems
    }


def test_problems_are_grouped_by_type_and_place(probe, drained):
    """Not by line or message."""

    @probe
    def f(n):
        if n == 0:
            raise ShopError("zero")
        if n == 1:
            raise ShopError("one")
        g()

    def g():
        raise ShopError("deeper")

    for n in (0, 1, 1, 2):
        with pytest.raises(ShopError):
            f(n)
    problems = {
        problem.culprit.rpartition(".")[2]: problem for problem in drained().problems
    }

    assert {"f": 3, "g": 1} == {name: p.count for name, p in problems.items()}
    assert "one" == problems["f"].message
    assert 16 == len(problems["f"].fingerprint)
    assert problems["f"].fingerprint != problems["g"].fingerprint
    assert 'raise ShopError("one")' in problems["f"].stack
    assert "probekit wrapper" not in problems["f"].stack
    assert problems["f"].first_seen_unix_ns <= problems["f"].last_seen_unix_ns


def test_samples_are_limited_and_counts_are_not(probe, drained):
    """A storm of one error makes 50 events; the rest is counted as not kept."""

    @probe(name="f")
    def f():
        raise ShopError("storm")

    for _ in range(500):
        with pytest.raises(ShopError):
            f()
    recorded = drained()

    assert [500] == [problem.count for problem in recorded.problems]
    assert BURST <= len(recorded.events) < BURST + 5
    assert 500 == len(recorded.events) + recorded.losses["events", "rate_limited"]
    assert {("f", f"{__name__}.ShopError"): 500} == recorded.calls()


@pytest.mark.usefixtures("no_collection")
def test_a_recursion_error_is_the_same_object_and_one_problem(probe, drained):
    """Where no stack is left for us, the next wrapper up counts."""

    @probe(name="f")
    def f(n):
        return f(n + 1)

    with pytest.raises(RecursionError) as caught:
        f(0)
    recorded = drained()

    assert caught.value.__context__ is None
    assert 1 == sum(problem.count for problem in recorded.problems)
    depth = sum(recorded.calls().values()) + recorded.losses.get(
        ("metrics", "recursion"), 0
    )
    assert depth > sys.getrecursionlimit() // 4


def test_a_hostile_str_cannot_hurt(probe, drained):
    """An exception whose text fails still passes, and is counted."""

    class Hostile(Exception):
        def __str__(self):
            raise OSError("no text")

    class Endless(Exception):
        def __str__(self):
            return str(self)

    @probe
    def f(kind):
        raise kind

    for kind in (Hostile, Endless):
        with pytest.raises(kind):
            f(kind)

    texts = {event.attributes["exception.message"] for event in drained().events}
    assert {"<message not available>"} == texts


def test_secrets_do_not_leave_the_process_in_errors(probe, drained):
    """Message, stack and problem are scrubbed."""
    secret = "hunter2-geheim"

    @probe
    def f(text):
        raise ShopError(text)

    with pytest.raises(ShopError):
        f(f"login failed: password={secret}")
    recorded = drained()

    assert 1 == len(recorded.problems)
    assert secret not in repr(recorded.harvest.problems)
    assert secret not in repr(recorded.harvest.events)


def test_error_if_makes_a_result_an_error(probe, drained):
    """Its type is _OTHER, and a judge that fails says no."""

    @probe(name="f", error_if=lambda result: 1 / result < 0)
    def f(result):
        return result

    assert [1, -1, 0] == [f(1), f(-1), f(0)]
    assert {("f", None): 2, ("f", "_OTHER"): 1} == drained().calls()


def test_a_record_of_a_handled_exception_is_one_event(registry, drained):
    """Name, type, message, stack and severity as the conventions have them."""
    try:
        {}["missing"]
    except KeyError as error:
        record_error(registry, error, {"order.id": "A1"})
    recorded = drained()
    (event,) = recorded.events

    assert ("exception", 17) == (event.name, event.severity)
    assert "KeyError" == event.attributes["exception.type"]
    assert "'missing'" == event.attributes["exception.message"]
    assert "A1" == event.attributes["order.id"]
    assert "in test_a_record_of" in event.attributes["exception.stacktrace"]
    assert [1] == [problem.count for problem in recorded.problems]


def test_a_handled_exception_that_a_probe_has_counted_is_not_counted_again(
    probe,
    registry,
    drained,
):
    """One occurrence is one event."""

    @probe
    def f():
        raise ShopError("x")

    try:
        f()
    except ShopError as error:
        record_error(registry, error)
    recorded = drained()

    assert 1 == len(recorded.events)
    assert [1] == [problem.count for problem in recorded.problems]


def test_causes_are_in_the_stack(registry, drained):
    """As Python prints them, oldest first."""
    try:
        try:
            raise ShopError("first")
        except ShopError as error:
            raise RuntimeError("second") from error
    except RuntimeError as error:
        record_error(registry, error)
    text = drained().events[0].attributes["exception.stacktrace"]

    assert text.index("first") < text.index("direct cause") < text.index("second")


@pytest.mark.parametrize(
    "file, is_application",
    [
        ("/opt/probekit/histogram.py", False),
        ("/opt/probekit/recording/errors/problems.py", False),
        ("/opt/probekit_shop/basket.py", True),
        ("/opt/shop/site-packages/flask/app.py", False),
        (threading.__file__, False),
        ("/srv/shop/basket.py", True),
    ],
)
def test_whose_a_frame_is(file, is_application, monkeypatch):
    monkeypatch.setattr("probekit.recording.errors.stack.OURS", "/opt/probekit/")

    assert is_application == Place(file, 1, "m", "f").is_application


def test_our_frames_are_those_of_the_package():
    assert Path(probekit.__file__).parent == Path(OURS)


def test_nonsense_instead_of_an_exception_is_counted_as_lost(registry, drained):
    """It does not raise."""
    record_error(registry, "not an exception")

    assert {("events", "invalid"): 1} == drained().losses


def test_too_many_problems_are_counted_as_lost(registry, drained, monkeypatch):
    """And after the next harvest there is room again."""
    monkeypatch.setattr("probekit.recording.errors.problems.GROUPS_LIMIT", 3)
    for round_ in range(2):
        for number in range(5):
            record_error(registry, type(f"E{round_}{number}", (Exception,), {})("x"))
        recorded = drained()

        assert 3 == len(recorded.problems)
        assert 2 == recorded.losses["events", "problem_limit"]


def test_exceptions_of_many_tasks_that_are_cleaned_up_after_are_one_problem_each(
    probe, drained
):
    """Others pass the same functions while each is on its way."""

    @probe
    async def fetch(number):
        await asyncio.sleep(0)
        raise ShopError(number)

    @probe
    async def page(number):
        try:
            await fetch(number)
        except ShopError:
            await asyncio.sleep(0)  # closes what it had opened
            raise

    @probe
    async def serve(number):
        task = asyncio.ensure_future(page(number))
        try:
            await task
        except ShopError as error:
            kept = error
        await asyncio.sleep(0)
        raise kept

    async def main():
        return await asyncio.gather(*map(serve, range(50)), return_exceptions=True)

    assert 50 == len({each.args for each in asyncio.run(main())})
    assert 50 == sum(problem.count for problem in drained().problems)
