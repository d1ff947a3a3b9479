# ruff: noqa: PERF203, PLR1708, SIM105 - written as applications write
"""Coroutines, generators and async generators behave step by step as bare ones."""

import asyncio
import builtins
import gc
import sys
import weakref

import pytest


def transcript(make, steps):
    """What a generator answers to each step, as text."""
    subject, said = make(), []
    for step in steps:
        try:
            said.append(("gave", step(subject)))
        except BaseException as error:
            said.append(("raised", type(error), error.args))
    return said


def echoing():
    """Answers what is sent, survives one ValueError, returns 'end'."""
    got = "start"
    while got != "stop":
        try:
            got = yield got
        except ValueError as error:
            got = f"caught {error}"
        except LookupError:
            raise RuntimeError("translated") from None
    return "end"


def stubborn():
    """Refuses to be closed."""
    while True:
        try:
            yield 1
        except GeneratorExit:
            yield 2


def failing():
    yield 1
    raise OSError("broken")


def impatient():
    yield 1
    raise StopIteration("as an error")


STEPS = {
    "exhausted": [next, next, lambda g: g.send("stop"), next],
    "returned": [next, lambda g: g.send("stop")],
    "thrown": [next, lambda g: g.throw(ValueError("x")), next],
    "translated": [next, lambda g: g.throw(KeyError("x")), next],
    "not caught": [next, lambda g: g.throw(ZeroDivisionError("x"))],
    "thrown first": [lambda g: g.throw(OSError("x")), next],
    "closed": [next, lambda g: g.close(), next],
    "closed first": [lambda g: g.close(), next],
    "sent first": [lambda g: g.send(1)],
    "exit thrown": [next, lambda g: g.throw(GeneratorExit())],
    "interrupted": [next, lambda g: g.throw(KeyboardInterrupt())],
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("function", [echoing, failing, impatient])
def test_a_generator_answers_every_step_as_the_bare_one(probe, function, steps):
    """Send, throw, close, return values and errors."""
    assert transcript(function, steps) == transcript(probe(function), steps)


def test_a_generator_that_ignores_close_fails_as_the_bare_one(probe):
    """RuntimeError, with the same words."""
    steps = [next, lambda g: g.close()]

    assert transcript(stubborn, steps) == transcript(probe(stubborn), steps)


@pytest.mark.parametrize(
    "finish, error_type",
    [
        (list, None),
        (lambda g: (next(g), g.close()), None),
        (lambda g: (next(g), g.throw(ValueError("x"))), "ValueError"),
    ],
)
def test_a_generator_is_timed_once_from_first_step_to_end(
    probe,
    drained,
    finish,
    error_type,
):
    """Exhaustion and close are successes, an exception is an error."""

    @probe(name="numbers")
    def numbers():
        yield 1
        yield 2

    numbers()  # never started: nothing to time
    try:
        finish(numbers())
    except ValueError:
        pass

    assert {("numbers", error_type): 1} == drained().calls()


def test_a_generator_dropped_half_way_is_timed(probe, drained):
    """Collection closes it."""

    @probe(name="numbers")
    def numbers():
        yield 1
        yield 2

    for _ in numbers():
        break
    gc.collect()

    assert {("numbers", None): 1} == drained().calls()


def test_delegating_to_a_probed_generator_returns_its_value(probe):
    """``yield from`` gets the value of ``return``."""

    def outer():
        said = yield from probe(echoing)()
        yield said

    running = outer()
    next(running)

    assert "end" == running.send("stop")


async def async_echoing():
    """The same for async generators; awaits in between."""
    got = "start"
    try:
        while got != "stop":
            try:
                await asyncio.sleep(0)
                got = yield got
            except ValueError as error:
                got = f"caught {error}"
            except LookupError:
                raise RuntimeError("translated") from None
    finally:
        await asyncio.sleep(0)


async def async_stubborn():
    """Refuses to be closed, once."""
    try:
        yield 1
    except GeneratorExit:
        yield 2
    yield 3


async def async_context():
    """Says what exception is being handled when it goes on after a throw."""
    try:
        yield 1
    except ValueError:
        pass
    yield repr(sys.exc_info()[0])
    try:
        raise KeyError("own")
    except KeyError as error:
        yield repr(error.__context__)


ASYNC_STEPS = {
    "exhausted": ["asend:None", "asend:a", "asend:stop", "asend:None"],
    "thrown": ["asend:None", "athrow:ValueError", "asend:b"],
    "translated": ["asend:None", "athrow:KeyError", "asend:b"],
    "not caught": ["asend:None", "athrow:ZeroDivisionError", "asend:b"],
    "thrown first": ["athrow:OSError", "asend:None"],
    "closed": ["asend:None", "aclose:", "asend:None"],
    "closed first": ["aclose:", "asend:None"],
    "sent first": ["asend:x"],
    "exit thrown": ["asend:None", "athrow:GeneratorExit"],
    "stop thrown": ["asend:None", "athrow:StopAsyncIteration"],
    "cancelled": ["asend:None", "athrow:CancelledError"],
}


async def async_transcript(make, steps):
    subject, said = make(), []
    for step in steps:
        verb, _, word = step.partition(":")
        try:
            if verb == "asend":
                given = await subject.asend(None if word == "None" else word)
            elif verb == "athrow":
                kind = getattr(builtins, word, None) or asyncio.CancelledError
                given = await subject.athrow(kind("x"))
            else:
                given = await subject.aclose()
            said.append(("gave", given))
        except BaseException as error:
            said.append(("raised", type(error), error.args))
    return said


@pytest.mark.parametrize("steps", ASYNC_STEPS.values(), ids=ASYNC_STEPS)
@pytest.mark.parametrize("function", [async_echoing, async_stubborn, async_context])
def test_an_async_generator_answers_every_step_as_the_bare_one(probe, function, steps):
    """asend, athrow, aclose and errors."""
    # Asked without a loop's hooks, so that an unfinished stubborn one ends quietly.
    bare = asyncio.run(async_transcript(function, steps))
    probed = asyncio.run(async_transcript(probe(function), steps))

    assert bare == probed


def test_a_thrown_exception_keeps_its_traceback_and_context(probe):
    """What is thrown into an async generator arrives without a frame of ours."""
    seen = []

    @probe
    async def listening():
        try:
            yield 1
        except ValueError as error:
            trace = error.__traceback__
            while trace is not None:
                seen.append(trace.tb_frame.f_code.co_filename)
                trace = trace.tb_next
            seen.append(error.__context__)
        yield 2

    async def main():
        subject = listening()
        await subject.asend(None)
        await subject.athrow(ValueError("x"))
        await subject.aclose()

    asyncio.run(main())

    assert [__file__, None] == seen


@pytest.mark.parametrize(
    "finish, error_type",
    [("all", None), ("break", None), ("fail", "ValueError"), ("dropped", None)],
)
def test_an_async_generator_is_timed_once(probe, drained, finish, error_type):
    """From first step to exhaustion, close or failure; the loop closes leftovers."""

    @probe(name="numbers")
    async def numbers():
        try:
            yield 1
            await asyncio.sleep(0)
            yield 2
        finally:
            await asyncio.sleep(0)

    async def main():
        subject = numbers()
        async for _ in subject:
            if finish == "fail":
                with pytest.raises(ValueError, match="x"):
                    await subject.athrow(ValueError("x"))
            elif finish == "break":
                break
            elif finish == "dropped":
                return
        await subject.aclose()

    problems = []

    async def watched():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context))
        await main()

    asyncio.run(watched())

    assert [] == problems
    assert {("numbers", error_type): 1} == drained().calls()


def test_shutdown_of_the_loop_closes_a_suspended_one_once(probe, drained):
    """The loop knows only the outer generator, so it never closes both at once."""
    problems, kept = [], []

    @probe(name="numbers")
    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context))
        kept.append(numbers())
        await kept[0].asend(None)

    asyncio.run(main())

    assert [] == problems
    assert {("numbers", None): 1} == drained().calls()


def test_a_coroutine_is_timed_from_first_await(probe, drained):
    """One that is never awaited is not counted."""

    @probe(name="work")
    async def work(a):
        await asyncio.sleep(0)
        return a

    work(1).close()

    assert 2 == asyncio.run(work(2))
    assert {("work", None): 1} == drained().calls()


def test_cancellation_is_timed_and_no_error(probe, drained):
    """CancelledError passes."""

    @probe(name="work")
    async def work():
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert asyncio.run(main())
    recorded = drained()
    assert {("work", None): 1} == recorded.calls()
    assert [] == recorded.problems


def test_concurrent_tasks_do_not_disturb_each_other(probe, drained):
    """A hundred interleaved calls are a hundred calls."""

    @probe(name="work")
    async def work(n):
        for _ in range(n % 5):
            await asyncio.sleep(0)
        if n % 10 == 0:
            raise KeyError(n)
        return n

    async def main():
        return await asyncio.gather(*map(work, range(100)), return_exceptions=True)

    results = asyncio.run(main())

    assert 10 == sum(isinstance(result, KeyError) for result in results)
    assert {("work", None): 90, ("work", "KeyError"): 10} == drained().calls()


def test_a_generator_keeps_nothing_alive_after_its_end(probe):
    """Arguments die with the call."""

    class Thing:
        pass

    @probe
    def numbers(thing):
        yield 1

    thing = Thing()
    alive = weakref.ref(thing)
    list(numbers(thing))
    del thing
    gc.collect()

    assert alive() is None
