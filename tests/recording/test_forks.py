"""Children of a fork, raw ones included, never repeat their parent's numbers."""

import os
import sys

import pytest

from forks import FORKS
from probekit.recording.instruments import Counter, instrument
from probekit.recording.watch import Watch

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="fork and its pages"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def said_by_child(fork, say):
    """What *say* returns in the child of *fork*."""
    reader, writer = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            os.write(writer, repr(say()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        text = answer.read().decode()
    os.waitpid(pid, 0)
    return text


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_the_watch_is_wiped_in_a_child(fork):
    """And stays set in the parent."""
    watch = Watch()
    watch.rest_for(3600)
    text = said_by_child(fork, lambda: (watch.deadline[()], watch.room[0]))

    assert "(0.0, 0)" == text
    assert watch.is_resting()
    assert watch.room[0]


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
@pytest.mark.parametrize("first", ["call", "error", "bound", "unbound", "event"])
def test_a_child_begins_at_zero_with_its_first_value(registry, probe, fork, first):
    """Whatever it records first, what the parent had waiting is not repeated."""
    from probekit.recording.events import record_event

    work = probe(name="work")(lambda fail: 1 / 0 if fail else 0)
    counter = instrument(Counter, "orders", registry=registry)
    bound = counter.bind()

    def one_more(kind):
        if kind == "call":
            work(fail=False)
        elif kind == "error":
            try:
                work(fail=True)
            except ZeroDivisionError:
                return
        elif kind == "bound":
            bound.add(1)
        elif kind == "unbound":
            counter.add(1)
        else:
            record_event(registry, "paid")

    due = []
    registry.on_due = lambda: due.append(os.getpid())
    for kind in ("call", "error", "bound", "unbound", "event"):
        one_more(kind)
        one_more(kind)
    registry.watch.rest_for(3600)

    def say():
        one_more(first)
        harvest = registry.drain()
        return (
            sum(len(raw) for _, raw in harvest.raw),
            list(harvest.sum_values),
            len(harvest.events),
            [problem.count for problem in harvest.problems],
            due[-1] == os.getpid(),
        )

    calls, errors = int(first in {"call", "error"}), first == "error"
    expected = (
        calls,
        [1.0] if first in {"bound", "unbound"} else [],
        int(first in {"error", "event"}),
        [1] if errors else [],
        True,
    )
    assert repr(expected) == said_by_child(fork, say)
    harvest = registry.drain()
    assert ([4.0], 4) == (list(harvest.sum_values), sum(len(r) for _, r in harvest.raw))


def test_a_child_can_record_when_the_parent_held_every_lock(registry, probe):
    """Locks are made anew."""
    work = probe(name="work")(lambda: None)
    registry.watch.rest_for(3600)
    for each in (registry._reaper._alone, registry._attending):
        each._lock.acquire()
        each._busy = True

    def say():
        work()
        return sum(len(raw) for _, raw in registry.drain().raw)

    assert "1" == said_by_child(os.fork, say)
