import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.integrations.libraries.sql import _VERBS, summarize

CASES = [
    ("SELECT a FROM Users", "SELECT", "Users"),
    ("select * from shop.users u join orders o on true", "SELECT", "shop.users"),
    ('SELECT EXTRACT(YEAR FROM ts) FROM "Order Lines" l', "SELECT", "Order Lines"),
    ("SELECT a IS DISTINCT FROM b FROM t", "SELECT", "t"),
    ("SELECT * FROM (SELECT 1 FROM inner_table) q", "SELECT", "inner_table"),
    ("SELECT * FROM generate_series(1, 2)", "SELECT", ""),
    ("SELECT 1", "SELECT", ""),
    ("(SELECT a FROM b) UNION SELECT 2", "SELECT", "b"),
    ("SELECT a #> '{x}' FROM t", "SELECT", "t"),
    ("WITH a AS (SELECT * FROM t) SELECT * FROM a", "SELECT", "t"),
    ("WITH a AS (SELECT 1) DELETE FROM t", "DELETE", "t"),
    ("INSERT OR REPLACE INTO t (a) VALUES (1)", "INSERT", "t"),
    ("INSERT INTO t SELECT * FROM u", "INSERT", "t"),
    ("REPLACE INTO `shop`.`T` VALUES (1)", "REPLACE", "shop.T"),
    ("UPDATE ONLY x SET a = 1", "UPDATE", "x"),
    ("DELETE FROM a.b.c WHERE d", "DELETE", "a.b.c"),
    ("MERGE INTO t USING u ON true", "MERGE", "t"),
    ("CREATE TABLE IF NOT EXISTS t (a INT)", "CREATE", "t"),
    ("CREATE UNIQUE INDEX i ON t (a)", "CREATE", "t"),
    ("CREATE TEMP VIEW v AS SELECT 1 FROM t", "CREATE", "v"),
    ("DROP TABLE IF EXISTS t", "DROP", "t"),
    ("ALTER TABLE t ADD b INT", "ALTER", "t"),
    ("TRUNCATE TABLE t", "TRUNCATE", "t"),
    ("COPY t FROM STDIN", "COPY", "t"),
    ("LOCK TABLE t IN SHARE MODE", "LOCK", "t"),
    ("PRAGMA table_info(t)", "PRAGMA", ""),
    ("/* from x */ -- from y\n begin", "BEGIN", ""),
    ("EXPLAIN SELECT * FROM t", "EXPLAIN", ""),
    ("", "_OTHER", ""),
    ("hunter2 is my password", "_OTHER", ""),
]


@pytest.mark.parametrize("statement,operation,collection", CASES)
def test_verb_and_first_table_are_read(statement, operation, collection):
    assert (operation, collection) == summarize(statement)
    assert (operation, collection) == summarize(statement.encode())


LITERALS = [
    "SELECT 'x from secret' FROM t",
    r"SELECT 'C:\' , 'y from secret' FROM t",
    r"SELECT 'it\'s from secret' FROM t",
    "SELECT $$ from secret $$ FROM t",
    "SELECT $a$ from secret $a$ FROM t",
    "SELECT 'never closed from secret",
    "INSERT INTO t VALUES ('secret')",
    "UPDATE t SET a = 'secret'",
    "SELECT 1 -- from secret",
]


@pytest.mark.parametrize("statement", LITERALS)
def test_the_inside_of_a_literal_is_never_told(statement):
    assert "secret" not in summarize(statement).collection


@settings(max_examples=100)
@given(st.text(max_size=300))
def test_any_text_has_a_summary_with_a_known_verb(text):
    operation, collection = summarize(text)

    assert operation in {*_VERBS, "_OTHER"}
    assert len(collection) <= 100


@settings(max_examples=100)
@given(st.text(alphabet=st.characters(exclude_characters="'\\"), max_size=60))
def test_a_quoted_value_changes_no_summary(value):
    assert summarize("SELECT 'x' FROM t") == summarize(f"SELECT '{value}' FROM t")


@pytest.mark.parametrize("unit", ["[", "(", "'", '"', "$a$", "/*", "`", "with a as ("])
def test_hostile_repetition_ends_quickly(unit):
    # Linear work: a hundred times the limit costs what the limit costs.
    summarize(f"SELECT {unit * 400_000}")
