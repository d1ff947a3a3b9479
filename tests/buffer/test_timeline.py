import pytest

from probekit.buffer.timeline import Timeline

S = 10**9


@pytest.fixture
def timeline(clock):
    return Timeline(clock, 10.0)


def close(timeline):
    """Bounds of the open window in seconds after the start, and its epoch."""
    start, end, epoch = timeline.bounds()
    timeline.turn(end, epoch)
    return start, end, epoch


def test_windows_follow_each_other_without_gap(timeline, clock, start_ns):
    clock.advance(10)
    first = close(timeline)
    clock.advance(10)

    assert (start_ns, start_ns + 10 * S, 0) == first
    assert (start_ns + 10 * S, start_ns + 20 * S, 0) == close(timeline)


def test_a_new_leader_opens_on_the_grid(clock, start_ns):
    clock.advance(13)
    timeline = Timeline(clock, 10.0, last_end_ns=start_ns + 7 * S)
    clock.advance(7)

    assert (start_ns + 10 * S, start_ns + 20 * S, 0) == close(timeline)


def test_a_new_leader_does_not_overlap_the_last_window(clock, start_ns):
    clock.advance(13)
    timeline = Timeline(clock, 10.0, last_end_ns=start_ns + 12 * S)
    clock.advance(7)

    assert start_ns + 12 * S == close(timeline)[0]


def test_a_small_step_back_keeps_the_start_and_the_true_length(
    timeline, clock, start_ns
):
    clock.advance(10)
    clock.step(-5)

    assert (start_ns, start_ns + 10 * S, 0) == close(timeline)


def test_windows_of_one_epoch_never_overlap_and_come_back_to_the_clock(timeline, clock):
    clock.advance(10)
    clock.step(-5)
    ends, lengths = [close(timeline)[1]], []
    for _ in range(12):
        clock.advance(10)
        start, end, epoch = close(timeline)
        assert epoch == 0
        assert start == ends[-1]
        lengths.append((end - start) / S)
        ends.append(end)

    assert all(8.99 <= length <= 10.01 for length in lengths)
    assert clock.now_ns == ends[-1]


@pytest.mark.row("T1")
def test_a_large_step_back_opens_a_new_epoch(timeline, clock):
    clock.advance(10)
    clock.step(-3600)
    start, end, epoch = close(timeline)

    assert (clock.now_ns - 10 * S, clock.now_ns, 1) == (start, end, epoch)
    clock.advance(10)
    assert (clock.now_ns - 10 * S, clock.now_ns, 1) == close(timeline)


@pytest.mark.row("T1")
def test_a_jump_forward_is_a_hole_and_not_a_long_window(timeline, clock, start_ns):
    clock.advance(10)
    clock.step(3600)

    assert (start_ns, start_ns + 10 * S, 0) == close(timeline)
    clock.advance(10)
    assert (start_ns + 3610 * S, start_ns + 3620 * S, 0) == close(timeline)


@pytest.mark.row("T1")
def test_steps_in_both_directions_never_make_an_empty_window(timeline, clock):
    for seconds in (-0.5, 0.5, -59, -59, -59, 120, -3600, 0):
        clock.step(seconds)
        start, end, _ = close(timeline)
        assert start < end


@pytest.mark.row("T1")
def test_a_clock_that_was_set_back_between_two_leaders_opens_a_new_epoch(clock):
    timeline = Timeline(clock, 10.0, last_end_ns=clock.now_ns + 3600 * S, epoch=4)

    assert 5 == timeline.epoch
