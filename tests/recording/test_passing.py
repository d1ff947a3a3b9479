"""A time limit that comes while our code runs reaches the application."""

import gc
import random
import signal
import threading
from functools import partial

import pytest

from probekit.notice import notice
from probekit.passing import let_pass
from probekit.patience import Patience
from probekit.recording.events import record_error, record_event
from probekit.recording.functions.timer import Timer
from probekit.recording.instruments import Counter, Histogram

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="there are no timers here"
)


class Late(Exception):
    """What a handler raises: Celery's limits and many a recipe's are of this kind."""


def with_names(number, frame):
    raise Late


def with_anything(*_):
    raise Late


class Handler:
    def __call__(self, number, frame):
        self.deeper()

    def deeper(self):
        raise TimeoutError("an OSError too")


HANDLERS = [with_names, with_anything, Handler(), partial(with_names)]


@pytest.fixture(params=HANDLERS, ids=["names", "anything", "object", "partial"])
def limit(request):
    """Set a time limit that comes within half a millisecond; says whether it came."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread only")
    came = [0]

    def handle(*given):
        came[0] += 1
        request.param(*given)

    before = signal.signal(signal.SIGALRM, handle)
    gc.disable()  # Python ignores what is raised inside of a finaliser
    yield came
    gc.enable()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def cut(limit, work, times=60):
    """Run *work* under a limit until it is cut: how often the limit came through."""
    through = 0

    # A function of its own: on Python 3.13 a signal at the loop's jump back is raised
    # outside of a ``try`` that stands around the loop.
    def until_it_came(before):
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 6e-4))
        while limit[0] == before:
            work()

    for _ in range(times):
        try:
            until_it_came(limit[0])
        except (Late, TimeoutError):  # noqa: PERF203 - that is what is counted
            through += 1
    return through


def operations(registry, probe):
    counter = Counter("orders", registry=registry)
    values = Histogram("values", registry=registry)
    bound = values.bind({"way": "bound"})
    fails = probe(name="fails")(lambda: {}["missing"])

    def failing():
        with pytest.raises(KeyError):
            fails()

    def timed():
        with Timer(values, {"a": 1}, registry):
            pass

    def many():
        for n in range(5_000):
            bound.record(n % 97 + 0.5)

    return {
        "event": lambda: record_event(registry, "order.paid", {"id": 1, "plan": "pro"}),
        "error": lambda: record_error(registry, ValueError("no"), {"a": "b"}),
        "counter": lambda: counter.add(1, {"plan": "pro"}),
        "fold": many,
        "failing call": failing,
        "timer": timed,
        "drain": registry.drain,
    }


@pytest.mark.parametrize(
    "what",
    ["event", "error", "counter", "fold", "failing call", "timer", "drain"],
)
def test_a_time_limit_reaches_the_application_wherever_it_comes(
    registry, probe, limit, what
):
    """And everything works as before afterwards."""
    work = operations(registry, probe)[what]

    assert 60 == cut(limit, work) == limit[0]
    registry.drain()
    record_event(registry, "later")
    assert ["later"] == [event.name for event in registry.drain().events]


def test_a_call_is_counted_once_or_as_lost_wherever_it_is_cut(registry, limit):
    counter = Counter("orders", registry=registry)
    begun = ended = 0

    def add():
        nonlocal begun, ended
        begun += 1
        counter.add(1, {"plan": "pro"})
        ended += 1

    cut(limit, add)
    harvest = registry.drain()

    added, lost = sum(harvest.sum_values), sum(harvest.losses.values())
    assert added <= begun
    assert ended <= added + lost


def test_what_the_application_handles_is_not_raised_again(registry):
    """It has been its own on its way here, though a handler raised it."""
    before = signal.signal(signal.SIGALRM, with_names)
    try:
        try:
            signal.raise_signal(signal.SIGALRM)
        except Late:
            assert notice("handled", "of ours") in {True, False}
            record_event(registry, object())  # no name: told to the logger
            let_pass()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_our_own_failures_do_not_pass():
    patience = Patience("part", "working")

    def fail():
        try:
            raise OSError("no space left")
        except OSError as error:
            let_pass(error)
            patience.failed(error)

    for _ in range(3):
        fail()

    assert 3 == patience.errors


def test_what_a_handler_raises_inside_a_callback_of_the_application_passes():
    """Called by us, as ``error_if`` and ``observe`` are."""
    patience = Patience("part", "calling back")

    def callback():
        signal.raise_signal(signal.SIGALRM)

    def ours():
        try:
            callback()
        except Exception as error:
            patience.failed(error)

    before = signal.signal(signal.SIGALRM, with_names)
    try:
        with pytest.raises(Late):
            ours()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert 0 == patience.errors
