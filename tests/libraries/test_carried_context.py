import contextvars
import decimal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import probekit
from probekit.integrations import libraries
from probekit.integrations.context import Attached, capture, inject
from probekit.integrations.http import REMOTE
from probekit.recording.quiet import suppressed
from probekit.recording.registry import REGISTRY

IDS = ("a" * 32, "b" * 16)
NONE = ("", "")


@pytest.fixture
def traced():
    """The test runs in a request of somebody's trace."""
    token = REMOTE.set(IDS)
    yield
    REMOTE.reset(token)


@pytest.fixture
def patched(recorded):
    libraries.instrument_libraries(["threading", "concurrent.futures"])


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_begins_with_the_trace_of_its_starter(patched, traced):
    assert IDS == in_thread(REMOTE.get)


def test_a_pool_carries_the_trace_task_by_task(patched, traced):
    with ThreadPoolExecutor(1) as pool:
        assert IDS == pool.submit(REMOTE.get).result()
        assert [IDS] == list(pool.map(lambda _: REMOTE.get(), [1]))
        token = REMOTE.set(NONE)
        assert NONE == pool.submit(REMOTE.get).result()
        REMOTE.reset(token)


def test_silence_is_carried_and_ends(patched):
    with ThreadPoolExecutor(1) as pool:
        with probekit.suppress():
            assert in_thread(suppressed)
            assert pool.submit(suppressed).result()
        assert not in_thread(suppressed)
        assert not pool.submit(suppressed).result()


def test_opentelemetrys_context_is_carried(patched):
    from opentelemetry import context

    token = context.attach(context.set_value("test", 5))
    try:
        with ThreadPoolExecutor(1) as pool:
            assert 5 == pool.submit(context.get_value, "test").result()
            assert 5 == in_thread(lambda: context.get_value("test"))
    finally:
        context.detach(token)
    assert in_thread(lambda: context.get_value("test")) is None


def test_the_applications_own_variables_stay_where_they_are(patched, traced):
    own = contextvars.ContextVar("own", default="unset")
    own.set("set")
    with decimal.localcontext() as context, ThreadPoolExecutor(1) as pool:
        context.prec = 3
        third = pool.submit(lambda: str(decimal.Decimal(1) / 3)).result()
        assert "unset" == pool.submit(own.get).result()

    assert 28 == len(third.partition(".")[2])


def test_results_and_exceptions_pass(patched, traced):
    with ThreadPoolExecutor(1) as pool:
        assert 3 == pool.submit(lambda a, b: a + b, 1, b=2).result()
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 / 0).result()
        with pytest.raises(TypeError):
            pool.submit()


def test_threads_are_as_before_after_uninstall(patched, traced):
    libraries.uninstall()

    assert NONE == in_thread(REMOTE.get)


def test_there_is_nothing_to_carry_outside_of_a_trace(recorded):
    context = contextvars.Context()

    assert context.run(capture) is None


def test_a_message_brings_its_context_and_takes_it_away(recorded):
    attached = Attached({"traceparent": f"00-{IDS[0]}-{IDS[1]}-01"})
    assert IDS == REMOTE.get()
    attached.detach()

    assert NONE == REMOTE.get()


@pytest.mark.parametrize("header", [None, "", "nonsense", 5, f"00-{'0' * 32}-1-01"])
def test_a_broken_header_brings_nothing(header):
    attached = Attached({"traceparent": header})

    assert NONE == REMOTE.get()
    attached.detach()


def test_a_header_is_added_but_never_replaced(monkeypatch):
    monkeypatch.setattr(REGISTRY, "trace_ids", lambda: IDS)
    empty, own = {}, {"TraceParent": "mine"}
    inject(empty)
    inject(own)

    assert {"traceparent": f"00-{IDS[0]}-{IDS[1]}-01"} == empty
    assert {"TraceParent": "mine"} == own
