"""Log-linear histograms with two significant decimal digits; pure arithmetic.

The boundaries are the decimal numbers 1.0, 1.1 … 9.9 times 10ᵏ, so every bound a
person would choose (0.005, 0.25, 2.5) is exact. Bins are upper-inclusive,
``(lower, upper]``, as Prometheus' ``le`` and OTLP's explicit bounds count. Merging
loses nothing, and a quantile is within 5 % of the truth. Never does I/O.
"""

import math
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, repeat

LOWEST_EXPONENT = -9
HIGHEST_EXPONENT = 18

# Parsed from decimal text: m / 10 * 10**k differs from the literal for one in four.
BOUNDS: "tuple[float, ...]" = (
    *(
        float(tenths + power)
        for power in [f"e{k - 1}" for k in range(LOWEST_EXPONENT, HIGHEST_EXPONENT)]
        for tenths in map(str, range(10, 100))
    ),
    float(f"1.0e{HIGHEST_EXPONENT}"),
)
OVERFLOW_BIN = len(BOUNDS)  # values above the last bound

_FEW = 16  # values that are quicker found one by one
# Best length of one sort, and of a list of values that has just grown long; longer
# ones hold the GIL for nothing.
CHUNK = 4200
_ASIDE_SHARE = 128  # of many values, one in so many at each end is set aside
_MANY = 4 * _ASIDE_SHARE
_LARGEST = 1.7976931348623157e308


class Histogram:
    """How often values fell between decimal bounds, with exact count, sum, min, max.

    Bin ``i`` counts values in ``(BOUNDS[i-1], BOUNDS[i]]``; bin 0 also holds all
    values at or below ``BOUNDS[0]``, zero and negative ones included; bin
    ``OVERFLOW_BIN`` those above the last bound. Not safe for use by several threads.

    Attributes:
        count: Number of values.
        sum: Their sum.
        min: The smallest value; ``inf`` when empty.
        max: The largest value; ``-inf`` when empty.
        bins: Bin → count, occupied bins only.

    Example:
        >>> h = Histogram.of([0.1, 0.2, 0.25, 0.9])
        >>> h.count, h.max, h.at_or_below(0.25)
        (4, 0.9, 3)

    """

    __slots__ = ("bins", "count", "max", "min", "sum")

    def __init__(self) -> None:
        """Start empty."""
        self.count = 0
        self.sum = 0.0
        self.min = math.inf
        self.max = -math.inf
        self.bins: dict[int, int] = {}

    @classmethod
    def of(cls, values: Iterable[float]) -> "Histogram":
        """Build a histogram of *values*; see :meth:`add`."""
        histogram = cls()
        histogram.add(values)
        return histogram

    def add(self, values: Iterable[float]) -> int:
        """Count *values*.

        Values that are not finite have no place on a scale and are left out.

        Args:
            values: Numbers, in any order.

        Returns:
            How many values were left out.

        Raises:
            TypeError: There is something else among them, if nothing else is raised
                by it. Of up to 4,200 values none is counted then.
            OverflowError: An int beyond the range of floats; the same.

        """
        given = list(values)
        if len(given) <= CHUNK:
            return self.take(given)
        return sum(
            self.take(given[start : start + CHUNK])
            for start in range(0, len(given), CHUNK)
        )

    def take(self, chunk: "list[float]") -> int:
        """Count up to ``CHUNK`` values of a list that nobody needs any more.

        As :meth:`add`, and all or none; *chunk* is left in another order.
        """
        if not chunk:
            return 0
        total = sum(chunk)
        kind = type(total)  # of any other, these are more than plain numbers
        if kind is not float and kind is not int:
            raise TypeError(f"a histogram counts numbers, got {kind.__name__}")
        given = len(chunk)
        if total - total != 0:  # NaN or an infinity is among them: sort would lie
            chunk = [value for value in chunk if math.isfinite(value)]
            total = sum(chunk)
            if total - total != 0:  # finite values whose sum overflows
                total = math.copysign(_LARGEST, total)
        if not chunk:
            return given
        # What may raise comes before anything is counted.
        added, bins, known = float(total), self.bins, self.bins.get
        if len(chunk) == 1:
            low = high = added
            bin_ = bisect_left(BOUNDS, low)
            bins[bin_] = known(bin_, 0) + 1
        elif len(chunk) <= _FEW:
            low, high = float(min(chunk)), float(max(chunk))
            for bin_ in list(map(bisect_left, repeat(BOUNDS), chunk)):
                bins[bin_] = known(bin_, 0) + 1
        else:
            chunk.sort()
            low, high = float(chunk[0]), float(chunk[-1])
            few = len(chunk) < _MANY
            counted = _counted_within(chunk, 0, len(chunk)) if few else _counted(chunk)
            for bin_, count in counted:
                bins[bin_] = known(bin_, 0) + count
        self.count += len(chunk)
        self.sum += added
        if low < self.min:  # noqa: PLR1730 - a third of the cost of a call
            self.min = low
        if high > self.max:  # noqa: PLR1730
            self.max = high
        return given - len(chunk)

    def merge(self, other: "Histogram") -> None:
        """Add all of *other*; the order of merging does not matter to the counts."""
        self.count += other.count
        self.sum += other.sum
        if other.min < self.min:  # noqa: PLR1730
            self.min = other.min
        if other.max > self.max:  # noqa: PLR1730
            self.max = other.max
        bins, known = self.bins, self.bins.get
        if not bins:
            bins.update(other.bins)
            return
        for bin_, count in other.bins.items():
            bins[bin_] = known(bin_, 0) + count

    def at_or_below(self, bound: float) -> int:
        """How many values are at or below *bound*.

        Exact when *bound* has at most two significant decimal digits; otherwise the
        count at the next lower boundary.
        """
        last = bisect_right(BOUNDS, bound) - 1
        return sum(count for bin_, count in self.bins.items() if bin_ <= last)

    def counts_between(self, bounds: Sequence[float]) -> "list[int]":
        """Counts in the intervals that rising *bounds* cut, one more than bounds.

        This is the shape of OTLP's explicit-bounds histogram: the i-th count is of
        values in ``(bounds[i-1], bounds[i]]``, the last one of all above.
        """
        bucket_of = _buckets(tuple(bounds))
        counts = [0] * (len(bounds) + 1)
        for bin_, count in self.bins.items():
            counts[bucket_of[bin_]] += count
        return counts

    def quantile(self, q: float) -> float:
        """Value below which the share *q* of all values lies, within 5 %.

        Args:
            q: Share, 0 to 1.

        Returns:
            Middle of the bin that holds the quantile, clamped to min and max; NaN
            when the histogram is empty.

        """
        return self.quantiles((q,))[0]

    def quantiles(self, shares: Sequence[float]) -> "list[float]":
        """Several quantiles in one pass; *shares* rise. See :meth:`quantile`."""
        if not self.count:
            return [math.nan] * len(shares)
        ordered = sorted(self.bins)
        return self._quantiles(shares, ordered, map(self.bins.__getitem__, ordered))

    def _quantiles(
        self,
        shares: Sequence[float],
        ordered: "list[int]",
        counts: "Iterable[int]",
    ) -> "list[float]":
        found: list[float] = []
        low, high, last = self.min, self.max, self.count - 1
        bounds, seen = BOUNDS, list(accumulate(counts))
        for share in shares:
            rank = share * self.count  # in no need of rounding up: counts are whole
            if rank > last:
                found.append(high)
                continue
            bin_ = ordered[bisect_left(seen, rank)]
            if 0 < bin_ < OVERFLOW_BIN:  # as middle(), without a call
                middle = (bounds[bin_ - 1] + bounds[bin_]) / 2
                found.append(low if middle < low else min(middle, high))
            else:
                found.append(self.middle(bin_))
        return found

    def summary(
        self, shares: Sequence[float], ordered: "list[int]"
    ) -> "tuple[list[float], bytes]":
        """As ``quantiles(shares), to_blob()``, for who knows the bins in order."""
        counts = list(map(self.bins.__getitem__, ordered))
        return self._quantiles(shares, ordered, counts), blob_of(ordered, counts)

    def middle(self, bin_: int) -> float:
        """The value that stands for all in bin *bin_*, between min and max."""
        if 0 < bin_ < OVERFLOW_BIN:
            middle = (BOUNDS[bin_ - 1] + BOUNDS[bin_]) / 2
        else:
            middle = self.max if bin_ else BOUNDS[0] / 2
        if middle < self.min:
            return self.min
        if middle > self.max:
            return self.max
        return middle

    def to_blob(self) -> bytes:
        """The bins as bytes: type byte, bins as uint16, counts in that type.

        Count, sum, min and max travel beside the blob, where SQL can see them.
        """
        ordered = sorted(self.bins)
        return blob_of(ordered, list(map(self.bins.__getitem__, ordered)))

    @classmethod
    def from_blob(
        cls,
        blob: bytes,
        total: float,
        low: float,
        high: float,
    ) -> "Histogram":
        """Rebuild from :meth:`to_blob` and the sum, min and max stored beside it.

        Raises:
            ValueError: The bytes are not such a blob.

        """
        form = _BY_CODE.get(blob[:1])
        if form is None:
            raise ValueError(f"not a histogram blob: first byte {blob[:1]!r}")
        occupied, rest = divmod(len(blob) - 1, form.width)
        if rest:
            raise ValueError(
                f"not a histogram blob: {len(blob)} bytes of {form.code!r}"
            )
        unpack = form.unpacks.get(occupied) or form.packer(occupied).unpack
        _, *numbers = unpack(blob)
        counts = numbers[occupied:]
        histogram = cls()
        histogram.count, histogram.sum = sum(counts), total
        histogram.min, histogram.max = low, high
        histogram.bins = dict(zip(numbers[:occupied], counts, strict=True))
        return histogram

    def __eq__(self, other: object) -> bool:
        """Equal when all counts and extremes are equal and the sums nearly so."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            self.bins == other.bins
            and self.min == other.min
            and self.max == other.max
            and math.isclose(self.sum, other.sum, rel_tol=1e-9, abs_tol=1e-12)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Say the figures, not the bins."""
        return (
            f"Histogram(count={self.count}, sum={self.sum!r}, "
            f"min={self.min!r}, max={self.max!r})"
        )


def blob_of(ordered: "list[int]", counts: "list[int]") -> bytes:
    """See :meth:`Histogram.to_blob`."""
    top = max(counts) if counts else 0
    form = _BYTES if top <= _BYTES.most else _WORDS
    if top > form.most:
        form = next(wider for wider in _FORMS if top <= wider.most)
    pack = form.packs.get(len(ordered)) or form.packer(len(ordered)).pack
    return pack(form.code, *ordered, *counts)


class _Form:
    """Blobs whose counts are of one width, by their number of bins."""

    __slots__ = ("code", "most", "packs", "unpacks", "width")

    def __init__(self, code: str) -> None:
        self.code = code.encode()
        size_bytes = struct.calcsize(f"<{code}")
        self.most, self.width = (1 << 8 * size_bytes) - 1, 2 + size_bytes
        self.packs: dict[int, Callable[..., bytes]] = {}
        self.unpacks: dict[int, Callable[[bytes], tuple[int, ...]]] = {}

    def packer(self, occupied: int) -> struct.Struct:
        """Made once for most numbers of bins."""
        made = struct.Struct(f"<c{occupied}H{occupied}{self.code.decode()}")
        if occupied < _MOST_PACKERS:
            self.packs[occupied], self.unpacks[occupied] = made.pack, made.unpack
        return made


_MOST_PACKERS = 256
_FORMS = tuple(map(_Form, "BHIQ"))
_BYTES, _WORDS, *_ = _FORMS
_BY_CODE = {form.code: form for form in _FORMS}


@lru_cache(maxsize=32)
def _buckets(bounds: "tuple[float, ...]") -> "array[int]":
    """Bin → position of the interval between *bounds* that it lies in."""
    cuts = [bisect_right(BOUNDS, bound) - 1 for bound in bounds]
    return array("H", [bisect_left(cuts, bin_) for bin_ in range(OVERFLOW_BIN + 1)])


def _counted(ordered: "list[float]") -> "list[tuple[int, int]]":
    """Bins and counts that add up to *ordered*; a bin may come more than once."""
    # A few calls that took a thousand times as long as the others would cost a search
    # for each bound on the way to them: the outermost values are found one by one.
    few = len(ordered) // _ASIDE_SHARE
    begin, end = 0, len(ordered)
    first = bisect_left(BOUNDS, ordered[few])
    last = bisect_left(BOUNDS, ordered[-few - 1], first)
    if first > 0:
        begin = bisect_right(ordered, BOUNDS[first - 1], 0, few)
    if last < OVERFLOW_BIN:
        end = bisect_right(ordered, BOUNDS[last], end - few)
    aside = ordered[:begin] + ordered[end:]
    found = _counted_within(ordered, begin, end)
    found += zip(map(bisect_left, repeat(BOUNDS), aside), repeat(1))
    return found


def _counted_within(
    ordered: "list[float]", begin: int, end: int
) -> "list[tuple[int, int]]":
    """Occupied bins of ``ordered[begin:end]`` and their counts.

    The part is not empty, and ends where a bin does.

    One search for each bound where the values are many, two for each occupied bin
    where they are few.
    """
    first = bisect_left(BOUNDS, ordered[begin])
    last = bisect_left(BOUNDS, ordered[end - 1])
    if first == last:
        return [(first, end - begin)]
    if 3 * (last - first) < end - begin:
        below = list(map(bisect_right, repeat(ordered), BOUNDS[first:last]))
        below.append(end)
        counts = map(int.__sub__, below, [begin, *below])
        return [(bin_, count) for bin_, count in enumerate(counts, first) if count]
    found: list[tuple[int, int]] = []
    position = begin
    while position < end:
        first = bisect_left(BOUNDS, ordered[position], first, last)
        following = position + 1
        if first == last:
            following = end
        elif following < end and ordered[following] <= BOUNDS[first]:
            following = bisect_right(ordered, BOUNDS[first], following)
        found.append((first, following - position))
        position = following
    return found
