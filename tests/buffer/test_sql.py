"""Laws of statements in bulk."""

import sqlite3
from contextlib import closing

import pytest

from probekit.buffer.sql import VARIABLES, insert, select_by_id, update


class Noting:
    """Passes statements on and keeps their texts."""

    def __init__(self, connection):
        self.texts = []
        self._connection = connection

    def execute(self, text, values=()):
        self.texts.append(text)
        return self._connection.execute(text, values)

    executemany = execute


@pytest.fixture
def noting():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n)")
        yield Noting(connection)


def test_every_row_is_inserted_changed_and_found_once(noting):
    rows = [(n, n) for n in range(3_001)]
    insert(noting, "t", rows)
    update(noting, "t", ["n"], [(n, 2 * n) for n, _ in rows])
    found = select_by_id(noting, "SELECT id, n FROM t", range(3_001))

    assert [(n, 2 * n) for n in range(3_001)] == list(found)


@pytest.mark.row("R4")
def test_any_number_of_rows_makes_few_texts(noting):
    """A connection keeps statements by their text, and long ones are large."""
    begin = 0
    for length in range(1, 300):
        insert(noting, "t", [(n, n) for n in range(begin, begin + length)])
        begin += length

    assert 9 == len(set(noting.texts))


@pytest.mark.row("R4")
def test_what_a_connection_keeps_of_a_bulk_is_small(noting):
    """However many rows come at once: after an outage it is many."""
    for begin, end in ((0, 10_000), (10_000, 19_999)):
        insert(noting, "t", [(n, n) for n in range(begin, end)])

    assert sum(map(len, set(noting.texts))) < 32_768


def test_as_many_rows_as_fit_go_in_one_statement(noting):
    """Each statement may wait for the interpreter's lock."""
    insert(noting, "t", [(n, n) for n in range(VARIABLES // 2)])

    assert 1 == len(noting.texts)
