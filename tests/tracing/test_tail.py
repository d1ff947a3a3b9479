import os
import random
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.tracing.policy import Tail
from probekit.tracing.slowness import Slowness
from probekit.tracing.tail import DECISIONS_LIMIT, TailSampler

NOTHING = Tail(share=0.0, errors=False, slower_than_p99=False)
HIGH = 1 << 64


def span(trace_id, span_id, parent=None, *, remote=False, failed=False, took_s=0.0):
    """A span as the SDK shows it, as far as tail sampling looks."""
    context = SimpleNamespace(trace_id=trace_id, span_id=span_id)
    above = None
    if parent is not None:
        above = SimpleNamespace(span_id=parent, is_remote=remote)
    code = SimpleNamespace(value=2 if failed else 0)
    return SimpleNamespace(
        name="work",
        context=context,
        parent=above,
        status=SimpleNamespace(status_code=code),
        start_time=0,
        end_time=int(took_s * 1e9),
    )


class Far:
    """A sampler with what it kept and lost."""

    def __init__(self, tail):
        self.kept = []
        self.lost = 0
        self.sampler = TailSampler(tail, self.kept.extend, self._lose)

    def _lose(self, count):
        self.lost += count

    def ids(self):
        return [each.context.span_id for each in self.kept]

    def run(self, *spans):
        """Start all in their order, end all in the reverse one."""
        for each in spans:
            self.sampler.started(each)
        for each in reversed(spans):
            self.sampler.ended(each)


def trace(trace_id=1, **root):
    """A root with two children."""
    return span(trace_id, 1, **root), span(trace_id, 2, 1), span(trace_id, 3, 2)


def test_nothing_is_decided_before_the_local_root_ends():
    far = Far(Tail(share=1.0))
    root, child, _ = trace()
    far.sampler.started(root)
    far.sampler.started(child)
    far.sampler.ended(child)
    before = list(far.kept)
    far.sampler.ended(root)

    assert [] == before
    assert [2, 1] == far.ids()
    assert 0 == far.sampler.waiting


def test_a_trace_with_one_failed_span_is_kept_whole():
    far = Far(Tail(share=0.0, slower_than_p99=False))
    root, child, _ = trace()
    far.run(root, child, span(1, 3, 2, failed=True))

    assert [3, 2, 1] == far.ids()


def test_a_trace_without_a_reason_goes_and_is_no_loss():
    far = Far(NOTHING)
    far.run(*trace())

    assert [] == far.kept
    assert 0 == far.lost
    assert 0 == far.sampler.waiting


def test_errors_are_no_reason_when_the_policy_says_so():
    far = Far(NOTHING)
    far.run(*trace(failed=True))

    assert [] == far.kept


def test_a_trace_is_kept_when_its_local_root_took_longer_than_the_bound():
    far = Far(Tail(share=0.0, slower_than_s=0.5, slower_than_p99=False))
    far.run(*trace(1, took_s=0.5))
    far.run(*trace(2, took_s=0.6))

    assert {2} == {each.context.trace_id for each in far.kept}


def test_a_trace_is_kept_when_its_root_is_slower_than_its_own_p99():
    far = Far(Tail(share=0.0))
    for number in range(1, 501):
        far.run(span(number, 1, took_s=0.010))
    far.run(span(501, 1, took_s=0.100))

    assert [501] == [each.context.trace_id for each in far.kept]


def test_the_share_is_the_same_in_every_process_and_about_as_asked():
    draw = random.Random(7)
    ids = [draw.getrandbits(128) for _ in range(4_000)]
    first, second = Far(Tail(share=0.25)), Far(Tail(share=0.25))
    for far in (first, second):
        for trace_id in ids:
            far.run(span(trace_id, 1))
    kept = [each.context.trace_id for each in first.kept]

    assert kept == [each.context.trace_id for each in second.kept]
    assert 900 < len(kept) < 1_100


def test_a_span_that_ends_after_its_root_shares_the_decision():
    far = Far(Tail(share=0.0, slower_than_p99=False))
    for trace_id, failed in ((1, True), (2, False)):
        root, late = span(trace_id, 1, failed=failed), span(trace_id, 2, 1)
        far.sampler.started(root)
        far.sampler.started(late)
        far.sampler.ended(root)
        far.sampler.ended(late)

    assert [(1, 1), (1, 2)] == [
        (each.context.trace_id, each.context.span_id) for each in far.kept
    ]


def test_two_local_roots_of_one_trace_are_decided_together():
    """A service that calls itself over the network."""
    far = Far(Tail(share=0.0, slower_than_p99=False))
    outer = span(1, 1)
    inner = span(1, 2, 1, remote=True, failed=True)
    far.run(outer, inner)

    assert [2, 1] == far.ids()


def test_a_second_request_of_a_dropped_trace_is_judged_anew():
    far = Far(Tail(share=0.0, slower_than_p99=False))
    far.run(span(1, 1, 9, remote=True))
    far.run(span(1, 2, 9, remote=True, failed=True))

    assert [2] == far.ids()


def test_memory_is_bounded_and_what_goes_undecided_is_counted():
    far = Far(Tail(share=0.0, most_spans=10))
    root = span(1, 1)
    far.sampler.started(root)
    for number in range(2, 40):
        child = span(1, number, 1)
        far.sampler.started(child)
        far.sampler.ended(child)

    assert 38 == far.lost  # those that came after the early decision, too
    assert far.sampler.waiting <= 11


def test_a_failed_trace_is_kept_also_when_memory_is_short():
    far = Far(Tail(share=0.0, most_spans=3))
    far.sampler.started(span(1, 1))
    for number in range(2, 6):
        child = span(1, number, 1, failed=number == 2)
        far.sampler.started(child)
        far.sampler.ended(child)

    assert [2, 3, 4, 5] == far.ids()
    assert 0 == far.lost


def test_traces_that_never_end_do_not_pile_up():
    far = Far(Tail(share=0.0, most_spans=5))
    for trace_id in range(1, 100):
        far.sampler.started(span(trace_id, 1))

    assert len(far.sampler._traces) <= 6
    assert 0 == far.lost


def test_what_ends_after_its_trace_went_for_want_of_memory_is_counted():
    """Nobody decided that it is not wanted."""
    far = Far(Tail(share=0.0, slower_than_p99=False, most_spans=5))
    for trace_id in range(1, 101):
        far.sampler.started(span(trace_id, 1))
    for trace_id in range(1, 101):
        far.sampler.ended(span(trace_id, 1))

    assert 95 == far.lost
    assert [] == far.ids()


def test_remembered_decisions_are_bounded():
    far = Far(NOTHING)
    far.sampler._decisions = dict.fromkeys(range(DECISIONS_LIMIT), True)
    far.run(span(HIGH, 1))

    assert DECISIONS_LIMIT == len(far.sampler._decisions)
    assert 0 not in far.sampler._decisions


def test_the_end_decides_about_what_has_not_ended_by_what_is_known():
    far = Far(Tail(share=0.0))
    for trace_id, failed in ((1, True), (2, False)):
        far.sampler.started(span(trace_id, 1))
        child = span(trace_id, 2, 1, failed=failed)
        far.sampler.started(child)
        far.sampler.ended(child)
    far.sampler.finish()

    assert [1] == [each.context.trace_id for each in far.kept]
    assert 0 == far.sampler.waiting


def test_a_child_of_a_fork_forgets_what_its_parent_holds(monkeypatch):
    far = Far(Tail(share=1.0))
    root, child, _ = trace()
    far.sampler.started(root)
    far.sampler.started(child)
    far.sampler.ended(child)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    own = span(1, 7, 1)
    far.run(own)

    assert [7] == far.ids()


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.booleans(), st.booleans()),
        max_size=40,
    ),
    st.integers(1, 12),
)
def test_every_span_is_kept_or_dropped_by_a_decision_or_counted(story, most):
    """Whatever the order of begins and ends, and however small the memory is."""
    far = Far(Tail(share=0.0, slower_than_p99=False, most_spans=most))
    dropped = []
    decided = far.sampler._remember

    def remember(trace_id, *, keep):
        if not keep:
            dropped.append(trace_id)
        return decided(trace_id, keep=keep)

    far.sampler._remember = remember
    open_, number, ended = [], 0, 0
    for trace_id, begins, failed in story:
        if begins or not open_:
            number += 1
            above = next(
                (e for e in reversed(open_) if e.context.trace_id == trace_id), None
            )
            parent = above and above.context.span_id
            open_.append(span(trace_id, number, parent, failed=failed))
            far.sampler.started(open_[-1])
        else:
            far.sampler.ended(open_.pop())
            ended += 1
    while open_:
        far.sampler.ended(open_.pop())
        ended += 1
    far.sampler.finish()
    failed_kept = [each for each in far.kept if each.status.status_code.value == 2]

    assert 0 == far.sampler.waiting
    assert len(far.kept) == len({each.context.span_id for each in far.kept})
    assert len(far.kept) + far.lost <= ended
    assert not far.sampler._traces
    if not dropped:
        assert ended == len(far.kept) + far.lost
    assert bool(failed_kept) or not far.kept


@pytest.mark.parametrize("same_s", [0.01, 0.0123, 3.0])
def test_a_function_that_always_takes_the_same_time_is_never_slow(same_s):
    slowness = Slowness()

    assert not any(slowness.is_slow("f", same_s) for _ in range(500))


def test_about_one_in_a_hundred_is_slow():
    slowness, draw = Slowness(), random.Random(3)
    slow = sum(slowness.is_slow("f", draw.expovariate(1.0)) for _ in range(5_000))

    assert 15 < slow < 110


def test_what_is_slow_follows_a_change():
    """A function that has become ten times slower is not slow for ever."""
    slowness = Slowness()
    for _ in range(3_000):
        slowness.is_slow("f", 0.01)
    first = slowness.is_slow("f", 0.1)
    for _ in range(5_000):
        slowness.is_slow("f", 0.1)

    assert first
    assert not slowness.is_slow("f", 0.1)


def test_names_without_end_cost_no_memory_without_end():
    slowness = Slowness()
    for number in range(2_000):
        slowness.is_slow(f"name-{number}", 1.0)

    assert 1_000 == len(slowness._names)
