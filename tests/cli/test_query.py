import csv
import io
import json
import sqlite3

import pytest

from probekit.buffer import schema

COUNTS = "SELECT name, count FROM series ORDER BY name"


def test_a_table_is_for_people(probekit, buffer):
    """Headers, and one line a row."""
    status, out, _ = probekit("query", COUNTS, "--buffer", buffer.path)

    assert 0 == status
    assert ["name", "count"] == out.splitlines()[0].split()
    assert ["shop.orders", "3"] == out.splitlines()[-1].split()


def test_json_is_one_array_of_objects(probekit, buffer):
    """Numbers stay numbers, NULL is null, bytes are hexadecimal."""
    sql = "SELECT name, sum, NULL AS n, x'ff' AS b, 9e999 AS i FROM series LIMIT 1"
    status, out, _ = probekit("query", sql, "--json", "--buffer", buffer.path)

    assert 0 == status
    assert [
        {"name": "shop.orders", "sum": 3.0, "n": None, "b": "ff", "i": "inf"}
    ] == json.loads(out)


def test_json_of_nothing_is_an_empty_array(probekit, buffer):
    """A script need not ask first."""
    _, out, _ = probekit("query", "SELECT 1 WHERE 0", "--json", "--buffer", buffer.path)

    assert [] == json.loads(out)


def test_equal_column_names_keep_every_column(probekit, buffer):
    """An object cannot have a key twice."""
    _, out, _ = probekit(
        "query", "SELECT 1 AS a, 2 AS a, 3 AS b", "--json", "--buffer", buffer.path
    )

    assert [{"a": 1, "a_2": 2, "b": 3}] == json.loads(out)


def test_csv_is_no_formula(probekit, buffer):
    """A spreadsheet computes nothing that was recorded; numbers stay negative."""
    sql = "SELECT '=1+1' AS a, '@x' AS b, -5 AS c, 'x,\"y\"' AS d, NULL AS e"
    _, out, _ = probekit("query", sql, "--csv", "--buffer", buffer.path)

    assert [
        ["a", "b", "c", "d", "e"],
        ["'=1+1", "'@x", "-5", 'x,"y"', ""],
    ] == list(csv.reader(io.StringIO(out)))


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM event",
        "INSERT INTO meta VALUES ('a', 1)",
        "UPDATE series SET count = 0",
        "DROP TABLE event",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "ATTACH 'new.db' AS n",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "REINDEX",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = delete",
        "PRAGMA user_version = 7",
        "BEGIN IMMEDIATE",
        "SAVEPOINT s",
        "SELECT load_extension('x')",
        "WITH x AS (SELECT 1) DELETE FROM event",
        "EXPLAIN DELETE FROM event",
        "SELECT 1; DELETE FROM event",
        "",
        "nonsense",
        "SELECT * FROM nowhere",
    ],
)
def test_what_does_more_than_read_is_refused_with_one_line(
    probekit, buffer, tmp_path, sql
):
    """And the file stays as it was; no other one appears."""
    before = sorted(tmp_path.rglob("*"))
    status, out, err = probekit("query", sql, "--buffer", buffer.path)

    assert 1 == status
    assert "" == out
    assert 1 == len(err.splitlines())
    assert sorted(tmp_path.rglob("*")) == before
    with sqlite3.connect(buffer.path) as connection:
        assert (2,) == connection.execute("SELECT count(*) FROM event").fetchone()
        version = connection.execute("PRAGMA user_version").fetchone()
        assert (schema.VERSION,) == version
    connection.close()


@pytest.mark.parametrize(
    "sql", ["PRAGMA table_info(series)", "EXPLAIN SELECT 1", "VALUES (1)"]
)
def test_reading_in_other_words_is_allowed(probekit, buffer, sql):
    """Not only SELECT reads."""
    assert 0 == probekit("query", sql, "--buffer", buffer.path)[0]


@pytest.mark.parametrize(
    "view",
    ["v_functions", "v_requests", "v_errors", "v_counters", "v_host", "v_events",
     "v_delivery"],
)  # fmt: skip
def test_every_view_can_be_queried(probekit, buffer, view):
    """They are made for this."""
    assert 0 == probekit("query", f"SELECT * FROM {view}", "--buffer", buffer.path)[0]


def test_no_recorded_text_reaches_the_terminal_as_a_command(probekit, buffer):
    """An escape sequence is shown, not obeyed."""
    _, out, _ = probekit(
        "query", "SELECT char(27) || '[2J' || char(10) AS x", "--buffer", buffer.path
    )

    assert "\x1b" not in out
    assert r"\x1b[2J\n" in out


def test_a_long_result_flows_in_pages(probekit, buffer):
    """Nothing is held until the end; nothing is left out."""
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
        "SELECT i FROM n"
    )
    _, out, _ = probekit("query", sql, "--buffer", buffer.path)
    rows = [line.strip() for line in out.splitlines() if line.strip() not in {"", "i"}]

    assert [f"{number:,}" for number in range(1, 1201)] == rows


def test_the_nearest_table_is_named_for_one_that_there_is_not(probekit, buffer):
    """Views too."""
    sql = "SELECT * FROM v_function"
    status, _, err = probekit("query", sql, "--buffer", buffer.path)

    assert 1 == status
    assert "did you mean v_functions?" in err
