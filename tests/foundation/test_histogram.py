"""Laws of the log-linear histogram."""

import math
import random
from bisect import bisect_left
from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.histogram import BOUNDS, OVERFLOW_BIN, Histogram

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
durations = st.floats(min_value=0, max_value=1e6)
on_an_edge = st.builds(
    math.nextafter,
    st.sampled_from(BOUNDS),
    st.sampled_from([-math.inf, math.inf]),
) | st.sampled_from([*BOUNDS, 0.0, -0.0, -1.0, 5e-324, 2.2e-308, 1.7e308])
HTTP_BOUNDS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
)  # fmt: skip


def test_every_bound_is_the_float_of_its_decimal_text():
    """1.1e-3 is the float that a person writes, not a product of rounding."""
    for position, bound in enumerate(BOUNDS):
        exponent, tenths = divmod(position, 90)
        text = f"{(tenths + 10) // 10}.{(tenths + 10) % 10}e{exponent - 9}"

        assert float(Decimal(text)) == bound


def test_bounds_rise():
    """Each bound is above the one before."""
    assert all(low < high for low, high in pairwise(BOUNDS))


def test_bins_are_upper_inclusive_at_every_bound():
    """A value on a bound counts below it; its upper neighbour does not."""
    for position, bound in enumerate(BOUNDS):
        above = math.nextafter(bound, math.inf)
        below = math.nextafter(bound, -math.inf)

        assert {position: 2, position + 1: 1} == Histogram.of(
            [bound, above, below],
        ).bins


@pytest.mark.parametrize("bound", HTTP_BOUNDS)
@given(values=st.lists(st.sampled_from(HTTP_BOUNDS) | durations))
def test_counts_at_a_chosen_bound_are_exact(bound, values):
    """What Prometheus' le asks is answered by counting, not by estimate."""
    assert sum(v <= bound for v in values) == Histogram.of(values).at_or_below(bound)


@given(values=st.lists(st.sampled_from(HTTP_BOUNDS) | durations))
def test_counts_between_bounds_are_those_of_a_direct_count(values):
    """OTLP's explicit bounds are cut exactly, and nothing is outside of them."""
    counts = Histogram.of(values).counts_between(HTTP_BOUNDS)
    direct = [0] * (len(HTTP_BOUNDS) + 1)
    for value in values:
        direct[bisect_left(HTTP_BOUNDS, value)] += 1

    assert direct == counts


@given(a=st.lists(finite), b=st.lists(finite))
def test_merging_equals_counting_together(a, b):
    """Merging loses nothing, whichever side comes first."""
    left, right = Histogram.of(a), Histogram.of(b)
    left.merge(Histogram.of(b))
    right.merge(Histogram.of(a))
    together = Histogram.of(a + b)

    assert together.bins == left.bins == right.bins
    assert together.count == left.count == right.count
    assert (together.min, together.max) == (left.min, left.max)


@given(values=st.lists(st.floats(min_value=1e-8, max_value=1e17), min_size=1))
@pytest.mark.parametrize("q", [0.0, 0.5, 0.95, 0.99, 1.0])
def test_a_quantile_is_within_five_percent(q, values):
    """The middle of a bin is at most 5 % from any value in it."""
    rank = max(1, math.ceil(q * len(values)))
    truth = sorted(values)[rank - 1]

    assert Histogram.of(values).quantile(q) == pytest.approx(truth, rel=0.0501)


@given(values=st.lists(finite))
def test_a_blob_gives_the_histogram_back(values):
    """What is stored is what was counted."""
    histogram = Histogram.of(values)
    back = Histogram.from_blob(
        histogram.to_blob(),
        histogram.sum,
        histogram.min,
        histogram.max,
    )

    assert histogram.bins == back.bins
    assert histogram.count == back.count


@given(blob=st.binary(max_size=40))
def test_a_foreign_blob_is_refused_or_read_but_nothing_else_happens(blob):
    """Bytes of unknown origin raise ValueError at worst."""
    try:
        histogram = Histogram.from_blob(blob, 0.0, 0.0, 0.0)
    except ValueError:
        return

    assert histogram.count == sum(histogram.bins.values())


@given(values=st.lists(st.floats()))
def test_values_that_are_no_numbers_are_left_out_and_counted(values):
    """NaN and the infinities have no place on a scale; the rest is unharmed."""
    histogram = Histogram()
    left_out = histogram.add(values)

    assert sum(not math.isfinite(v) for v in values) == left_out
    assert len(values) - left_out == histogram.count
    assert math.isfinite(histogram.sum)


def test_extremes_have_bins_of_their_own():
    """Nothing is lost below the first bound or above the last."""
    histogram = Histogram.of([0.0, -5.0, 1e-12, 1e300])

    assert {0: 3, OVERFLOW_BIN: 1} == histogram.bins
    assert (-5.0, 1e300) == (histogram.min, histogram.max)


@pytest.mark.parametrize("spread", [0.0, 0.05, 1.0, 30.0])
@pytest.mark.parametrize("number", [1, 2, 40, 500, 9000])
def test_many_values_are_counted_like_single_ones(number, spread):
    """However many, and whether their bins lie close or far apart."""
    draw = random.Random(number)
    values = [draw.lognormvariate(-7, spread) for _ in range(number)]
    values += [0.0, -1.0, 0.25, 0.25, 2.5e-3, 1e19] if spread else []
    singles = Histogram()
    for value in values:
        singles.add([value])

    assert singles == Histogram.of(values)
    assert len(values) == sum(singles.bins.values())


@settings(max_examples=40)
@given(
    usual=st.lists(on_an_edge | durations, min_size=1, max_size=12),
    odd=st.lists(on_an_edge | finite, max_size=12),
    number=st.sampled_from([20, 511, 512, 1200]),
)
def test_any_value_among_many_lies_in_the_bin_that_a_search_finds(usual, odd, number):
    """Close together, with a few far off, on an edge, zero, negative, subnormal."""
    values = (usual * number)[:number] + odd
    random.Random(number).shuffle(values)

    histogram = Histogram.of(values)

    assert Counter(bisect_left(BOUNDS, value) for value in values) == histogram.bins
    assert len(values) == histogram.count
    assert (min(values), max(values)) == (histogram.min, histogram.max)


@pytest.mark.parametrize("number", [600, 4100, 5000])
def test_calls_that_take_a_thousand_times_as_long_keep_their_bins(number):
    """Outliers at either end are found where they are, whatever their share."""
    draw = random.Random(number)
    for share in (0.0, 0.001, 0.01, 0.3):
        values = [
            draw.gauss(1e-6, 1e-7) * draw.choices([1, 1e3, 1e-3], [1, share, share])[0]
            for _ in range(number)
        ]

        counts = Counter(bisect_left(BOUNDS, value) for value in values)

        assert counts == Histogram.of(values).bins


def test_a_merge_into_an_empty_one_shares_nothing():
    """What is counted afterwards stays where it is counted."""
    first, second = Histogram(), Histogram.of([0.1])
    first.merge(second)
    first.add([0.1])

    assert (1, 2) == (sum(second.bins.values()), sum(first.bins.values()))


class Incomparable:
    """A sum with it is a number, and that is all it can do."""

    def __radd__(self, other):
        return other

    def __add__(self, other):
        return other


@pytest.mark.parametrize("number", [2, 40, 600])
def test_what_only_adds_up_is_refused_and_nothing_counted(number):
    """Found when values are compared, it leaves no count without a bin behind."""
    histogram = Histogram()
    with pytest.raises(TypeError):
        histogram.add([0.1] * number + [Incomparable()])

    assert (0, 0.0, {}) == (histogram.count, histogram.sum, histogram.bins)


def test_what_is_no_number_is_refused_and_nothing_counted():
    """All or none of a chunk."""
    histogram = Histogram()
    for values in (["text"], [1.0, None], [Decimal(1)], [10**400, 1.0]):
        with pytest.raises((TypeError, OverflowError)):
            histogram.add(values)

    assert Histogram() == histogram
