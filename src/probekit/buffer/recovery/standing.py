"""Running totals that are not what was written: set right, or begun anew.

What the leader has in memory is the truth. Without it a sum stands where its newest
point says, and a gauge too. A histogram begins with the points that are still stored:
receivers see it fall, which is how they know that a total began anew.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from probekit.buffer.checksums import STANDING, is_total_good
from probekit.buffer.recovery.mending import lenient
from probekit.buffer.totals import Total, write_totals
from probekit.histogram import Histogram


@dataclass(slots=True)
class Restored:
    """What was done.

    Attributes:
        exact: Totals that say what they said.
        anew: Totals that say less than they did.
    """

    exact: int = 0
    anew: int = 0

    def __bool__(self) -> bool:
        """Whether there was anything to do."""
        return self.exact > 0 or self.anew > 0


def restore(
    connection: sqlite3.Connection, remembered: "Mapping[int, Total]"
) -> Restored:
    """Set right every total whose checksum is wrong.

    Args:
        connection: In a write transaction; points and series are sound by now.
        remembered: Totals that are still in memory, by series.

    """
    listed = ", ".join(STANDING)
    before, connection.text_factory = connection.text_factory, lenient
    try:
        rows = connection.execute(
            f"SELECT kind, id, {listed}, total_crc FROM series"  # noqa: S608 - ours
        )
        bad = {row[1]: row[0] for row in rows if not is_total_good(row[1:])}
    finally:
        connection.text_factory = before
    if not bad:
        return Restored()
    found = {series: remembered[series] for series in bad if series in remembered}
    unknown = {series: kind for series, kind in bad.items() if series not in found}
    stored = _stored(connection, unknown)
    exact = sum(unknown[series] != "histogram" for series in stored)
    done = Restored(len(found) + exact, len(unknown) - exact)
    found.update({series: stored.get(series, Total()) for series in unknown})
    end = "SELECT coalesce(max(end_unix_ns), 0) FROM window"
    write_totals(connection, found.items(), connection.execute(end).fetchone()[0])
    return done


def _stored(
    connection: sqlite3.Connection, wanted: "Mapping[int, str]"
) -> "dict[int, Total]":
    """What points say of series, whose kinds are given."""
    found: dict[int, Total] = {}
    rows = connection.execute(
        "SELECT series, count, value, total, min, max, bins FROM point ORDER BY window"
    )
    for series, count, value, total, low, high, bins in rows if wanted else ():
        kind = wanted.get(series)
        if kind is None:
            continue
        held = found.setdefault(series, Total())
        held.count += count
        if bins is not None:
            histogram = Histogram.from_blob(bins, value, low, high)
            if held.histogram is not None:
                histogram.merge(held.histogram)
            held.histogram = histogram
        elif kind == "gauge":
            held.last = value
        else:
            held.sum = value if total is None else total
    return found
