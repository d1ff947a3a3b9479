import asyncio
import time

import pytest

from probekit.integrations import libraries
from probekit.integrations.libraries import asyncio as room

LAG = "probekit.asyncio.lag"


@pytest.fixture
def patched(recorded, monkeypatch):
    monkeypatch.setattr(room, "PERIOD_S", 0.01)
    libraries.instrument_libraries("asyncio")


async def busy():
    time.sleep(0.05)  # noqa: ASYNC251 - what is measured
    await asyncio.sleep(0.03)


def test_a_loop_that_is_held_is_late(patched, recorded):
    asyncio.run(busy())

    ((attributes, count),) = recorded().of(LAG)
    assert {} == attributes
    assert count >= 1


def test_a_loop_is_watched_once_and_left_clean(patched, recorded):
    timers = []

    async def look():
        loop = asyncio.get_running_loop()
        waiting = [timer for timer in loop._scheduled if not timer.cancelled()]
        timers.append(len(waiting))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(look())
    loop.run_until_complete(look())
    remaining = [timer for timer in loop._scheduled if not timer.cancelled()]
    loop.close()

    assert [1, 1] == timers
    assert [] == remaining


def test_results_and_exceptions_of_run_pass(patched):
    async def answer():
        return 42

    async def fail():
        raise LookupError("x")

    assert 42 == asyncio.run(answer())
    with pytest.raises(LookupError):
        asyncio.run(fail())


def test_an_exception_that_nobody_awaited_is_a_problem_and_is_told_on(
    patched, recorded
):
    told = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: told.append(context))
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())

    assert ["ZeroDivisionError"] == [type(c["exception"]).__name__ for c in told]
    assert [("ZeroDivisionError", 1)] == [
        (p.type, p.count) for p in recorded().problems
    ]


def test_an_exception_that_nobody_awaited_counts_once_though_it_is_logged(
    patched, recorded
):
    libraries.instrument_libraries(["asyncio", "logging"])

    async def main():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    for _ in range(5):
        asyncio.run(main())

    assert [5] == [problem.count for problem in recorded().problems]


def test_nothing_is_measured_after_uninstall(patched, recorded):
    libraries.uninstall()
    asyncio.run(busy())

    assert [] == recorded().of(LAG)
