"""Laws of one exporter's way: nothing is lost, nothing accepted is repeated."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.delivery.courier import Courier
from probekit.errors import Forbidden, Rejected, RetryLater, TooLarge


def courier_of(store, exporter, clock, **more):
    return Courier("x", exporter, store, clock=clock, draw=lambda: 0.5, **more)


def run(courier, clock, *, until_s=1e9, steps=10_000):
    """Step and let the time pass until nothing waits; the waits."""
    waits = []
    for _ in range(steps):
        wait_s = courier.step()
        if courier.is_idle or clock.now_s + wait_s > until_s:
            break
        waits.append(wait_s)
        clock.now_s += wait_s
    return waits


def test_everything_is_delivered_in_order(fakes, clock):
    """In batches of what the contract allows."""
    store, exporter = fakes.Store(250), fakes.Exporter()
    run(courier_of(store, exporter, clock), clock)

    assert list(range(1, 251)) == exporter.delivered
    assert [100, 100, 50] == [len(send) for send in exporter.sends]
    assert store.cursor == 250


def test_what_must_wait_comes_again_the_same(fakes, clock):
    """Until it is accepted; the error is noted, the wait grows."""
    answers = iter([RetryLater("busy"), ConnectionRefusedError("no"), None])
    store, exporter = fakes.Store(3), fakes.Exporter(lambda _: next(answers))
    waits = run(courier_of(store, exporter, clock), clock)

    assert [[1, 2, 3]] * 3 == exporter.sends
    assert [0.5, 0.75] == waits[:2]
    assert len(store.errors) == 2


@pytest.mark.row("N3")
def test_no_send_happens_before_the_asked_time(fakes, clock):
    """Retry-After is honoured even when somebody flushes."""
    answers = iter([RetryLater("busy", after_s=30.0), None])
    store, exporter = fakes.Store(1), fakes.Exporter(lambda _: next(answers))
    courier = courier_of(store, exporter, clock)
    courier.step()
    clock.now_s = 29.9
    courier.hurry()
    courier.step()
    early = len(exporter.sends)
    clock.now_s = 34
    courier.step()

    assert (1, 2) == (early, len(exporter.sends))


def test_a_flush_cuts_a_backoff_short(fakes, clock):
    """Nobody asked for that wait but we ourselves."""
    answers = iter([*(OSError("down") for _ in range(9)), None])
    store, exporter = fakes.Store(1), fakes.Exporter(lambda _: next(answers))
    courier = courier_of(store, exporter, clock)
    for _ in range(9):
        clock.now_s += courier.step()
    clock.now_s -= 5
    courier.hurry()
    courier.step()

    assert store.cursor == 1


@pytest.mark.row("N5")
def test_too_large_a_batch_is_halved_and_later_ones_are_smaller(fakes, clock):
    """All arrives; the size is remembered."""
    exporter = fakes.Exporter(lambda n: TooLarge("413") if len(n) > 30 else None)
    store = fakes.Store(1000)
    run(courier_of(store, exporter, clock), clock)

    assert list(range(1, 1001)) == exporter.delivered
    assert not store.buried
    refused = [send for send in exporter.sends if len(send) > 30]
    assert len(refused) < 12


@pytest.mark.row("N5")
def test_a_record_too_large_by_itself_is_buried(fakes, clock):
    """After halving down to it; its neighbours arrive."""
    exporter = fakes.Exporter(lambda n: TooLarge("413") if 7 in n else None)
    store = fakes.Store(20)
    run(courier_of(store, exporter, clock), clock)

    assert [7] == list(store.buried)
    assert set(range(1, 21)) - {7} == set(exporter.delivered)


@pytest.mark.row("N4")
@settings(max_examples=40)
@given(st.sets(st.integers(1, 120), max_size=5))
def test_bad_records_are_found_and_buried_the_others_arrive(fakes, bad):
    """Whatever the bad ones are: each record is delivered once or buried once."""
    clock, store = fakes.Clock(), fakes.Store(120)
    exporter = fakes.Exporter(lambda n: Rejected("bad") if bad & set(n) else None)
    run(courier_of(store, exporter, clock), clock)

    assert bad == set(store.buried)
    assert sorted(set(range(1, 121)) - bad) == sorted(exporter.delivered)


@pytest.mark.row("N4")
def test_a_backend_that_refuses_everything_is_not_asked_for_each_record(fakes, clock):
    """Bisecting ends when it is plain that the records are not to blame."""
    store, exporter = fakes.Store(1000), fakes.Exporter(lambda _: Rejected("never"))
    run(courier_of(store, exporter, clock), clock)

    assert len(store.buried) == 1000
    assert len(exporter.sends) < 150


@pytest.mark.row("N8")
def test_a_partial_refusal_is_counted_and_not_repeated(fakes, clock):
    """The others were taken."""
    answers = iter([Rejected("2 too old", count=2)])
    store, exporter = fakes.Store(9), fakes.Exporter(lambda _: next(answers, None))
    run(courier_of(store, exporter, clock), clock)

    assert [(2, "2 too old")] == store.refusals
    assert ["2 too old"] == store.errors
    assert len(exporter.sends) == 1
    assert store.cursor == 9


@pytest.mark.row("N6")
def test_a_forbidding_backend_is_probed_every_five_minutes(fakes, clock, caplog):
    """The data stays, one line is logged, a flush changes nothing."""
    store, exporter = fakes.Store(1), fakes.Exporter(lambda _: Forbidden("401"))
    courier = courier_of(store, exporter, clock)
    with caplog.at_level(logging.WARNING, logger="probekit"):
        for second in range(0, 901, 10):
            clock.now_s = float(second)
            courier.hurry()
            courier.step()

    assert len(exporter.sends) == 4
    assert store.cursor == 0
    assert len(caplog.records) == 1


@pytest.mark.row("N6")
def test_the_data_flows_again_when_the_credentials_are_mended(fakes, clock):
    """The circuit closes with the first success."""
    answers = iter([Forbidden("401"), None])
    store, exporter = fakes.Store(5), fakes.Exporter(lambda _: next(answers, None))
    run(courier_of(store, exporter, clock), clock)

    assert [1, 2, 3, 4, 5] == exporter.delivered


def test_a_broken_exporter_is_switched_off_for_five_minutes(fakes, clock):
    """Five bugs in a row are enough."""
    store, exporter = fakes.Store(1), fakes.Exporter(lambda _: KeyError("bug"))
    courier = courier_of(store, exporter, clock)
    run(courier, clock, until_s=200.0)

    assert len(exporter.sends) == 5
    assert store.cursor == 0


def test_what_was_accepted_is_never_sent_again_though_the_cursor_cannot_move(
    fakes, clock
):
    """The disk is full for a minute; the far side sees each record once."""
    store, exporter = fakes.Store(150), fakes.Exporter()
    courier = courier_of(store, exporter, clock)
    store.failing = True
    run(courier, clock, until_s=60.0)
    sent_meanwhile = list(exporter.sends)
    store.failing = False
    run(courier, clock)

    assert [list(range(1, 101))] == sent_meanwhile
    assert list(range(1, 151)) == exporter.delivered


def test_what_was_accepted_is_remembered_over_a_restart_of_the_courier(fakes, clock):
    """A reconfiguration in the middle of such a minute repeats nothing either."""
    store, exporter, ledger = fakes.Store(3), fakes.Exporter(), {}
    store.failing = True
    courier_of(store, exporter, clock, ledger=ledger).step()
    store.failing = False
    run(courier_of(store, exporter, clock, ledger=ledger), clock)

    assert [1, 2, 3] == exporter.delivered
    assert store.cursor == 3
    assert not ledger


def test_a_buffer_that_cannot_be_read_is_no_reason_to_fail(fakes, clock):
    """The step says when to come again."""
    store = fakes.Store(1)
    store.next_batch = None
    courier = courier_of(store, fakes.Exporter(), clock)

    assert 0 < courier.step() <= 5


@pytest.mark.row("N13")
def test_a_backlog_is_taken_with_half_the_strength_after_an_outage(fakes, clock):
    """The far side has others to serve too; a flush lifts that."""

    def slow(_):
        clock.now_s += 0.4

    answers = iter([RetryLater("down")])
    store = fakes.Store(300)
    exporter = fakes.Exporter(lambda n: next(answers, None) or slow(n))
    courier = courier_of(store, exporter, clock)
    clock.now_s += courier.step()
    after_first = courier.step()
    clock.now_s += after_first
    courier.hurry()
    after_second = courier.step()

    assert after_first == pytest.approx(0.4)
    assert after_second == 0.0


def test_errors_are_told_without_secrets(fakes, clock):
    """An unexpected error may carry a URL with a password in it."""
    store = fakes.Store(1)
    exporter = fakes.Exporter(lambda _: ValueError("tcp://me:geheim@h:1 failed"))
    courier_of(store, exporter, clock).step()

    assert "geheim" not in store.errors[0]
