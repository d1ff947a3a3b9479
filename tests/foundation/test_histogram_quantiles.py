import math

from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.histogram import Histogram

SHARES = (0.0, 0.5, 0.95, 0.99, 1.0)


@settings(max_examples=50)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=200))
def test_several_quantiles_in_one_pass_are_those_of_single_passes(values):
    """And each is within 5 % of the value at its rank."""
    histogram = Histogram.of(values)
    found = histogram.quantiles(SHARES)
    ranked = sorted(values)
    truth = [ranked[max(1, math.ceil(q * len(values))) - 1] for q in SHARES]

    assert [histogram.quantile(q) for q in SHARES] == found
    assert all(abs(f - t) <= 0.0501 * t for f, t in zip(found, truth, strict=True))


def test_an_empty_histogram_has_no_quantiles():
    assert all(map(math.isnan, Histogram().quantiles(SHARES)))
