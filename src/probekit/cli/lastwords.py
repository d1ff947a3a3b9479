"""What was under way when a process was killed, as far as the buffer still has it."""

import sqlite3
from dataclasses import dataclass

# As recording names the event.
_INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class LastWords:
    """Operations whose process ended without a word.

    Attributes:
        count: How many; those that retention has taken away are not in it.
        last: What the newest one says; empty without any.
        last_unix_ns: When it was seen last, nanoseconds since 1970; 0 without any.
    """

    count: int = 0
    last: str = ""
    last_unix_ns: int = 0


NOTHING = LastWords()


def last_words(connection: sqlite3.Connection) -> LastWords:
    """Read them from a buffer's events."""
    return LastWords(
        *connection.execute(
            # One row: of an aggregate with max(), SQLite takes the rest from that row.
            "SELECT count(*), coalesce(body, ''), coalesce(max(time_unix_ns), 0) "
            "FROM event WHERE name = ?",
            (_INTERRUPTED,),
        ).fetchone()
    )
