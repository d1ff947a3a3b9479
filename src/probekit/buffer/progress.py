"""How far the buffer is: is a frame committed, has every exporter passed it?

Asked by ``flush`` in any process, through the leader's store or a reader's connection.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from probekit.buffer import accounts
from probekit.model import Signal


@dataclass(frozen=True, slots=True)
class Progress:
    """One look.

    Attributes:
        offset: Bytes of the asked segment that are committed; None when it is unknown
            (not folded yet, or folded to its end and forgotten).
        last: Signal → last window id or record number that was given.
        passed: Signal → last one that every exporter has passed; None when no
            exporter takes it.
        exporters: Names of all cursors.
    """

    offset: "int | None"
    last: "Mapping[Signal, int]"
    passed: "Mapping[Signal, int | None]"
    exporters: "frozenset[str]"

    def has_passed(self, target: "Mapping[Signal, int]") -> bool:
        """Whether every exporter has passed what was last when *target* was read."""
        return all(
            passed is None or passed >= target[signal]
            for signal, passed in self.passed.items()
        )


def read_progress(connection: sqlite3.Connection, segment: str) -> Progress:
    """Look once; *segment* is the name of the segment whose offset is wanted."""
    row = connection.execute(
        "SELECT offset FROM segment WHERE name = ?",
        (segment,),
    ).fetchone()
    return Progress(
        None if row is None else int(row[0]),
        {signal: accounts.last(connection, signal) for signal in accounts.SIGNALS},
        {s: accounts.passed_by_all(connection, s) for s in accounts.SIGNALS},
        frozenset(
            name for (name,) in connection.execute("SELECT exporter FROM cursor")
        ),
    )
