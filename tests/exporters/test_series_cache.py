"""Laws of what encodings remember of series."""

from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.exporters.cache import Memo, SeriesCache
from probekit.model import Point, Series

NAMES = st.sampled_from(["a", "b", "c"])
# The same few ids for other series, as another buffer's would be; 0 is none.
POINTS = st.lists(
    st.builds(
        lambda name, number: Point(Series(name, "counter"), 1.0, series_id=number),
        NAMES,
        st.integers(0, 3),
    ),
    max_size=8,
)


@settings(max_examples=30)
@given(st.lists(POINTS, max_size=3), st.integers(1, 4))
def test_what_is_asked_for_many_is_what_each_would_be_told(batches, limit):
    cache = SeriesCache(lambda series: series.name, limit)

    for points in batches:
        names = [point.series.name for point in points]

        assert names == cache.each(points)
        assert names == [cache.of(point) for point in points]


def test_a_series_that_is_known_is_made_once():
    made = []
    cache = SeriesCache(lambda series: made.append(series) or len(made))
    points = [Point(Series(n, "gauge"), 1.0, series_id=ord(n)) for n in "abc"]

    assert [1, 2, 3] == cache.each(points) == cache.each(points)
    assert 3 == len(made)


def test_a_memo_makes_each_once_and_never_holds_more_than_its_limit():
    made = []
    memo = Memo(lambda key: made.append(key) or key * 2, limit=3)

    assert [2, 4, 2, 4] == [memo[key] for key in (1, 2, 1, 2)]
    assert [1, 2] == made
    for key in range(10):
        assert key * 2 == memo[key]
        assert 3 >= len(memo)
