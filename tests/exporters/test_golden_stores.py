"""What the stores are sent, byte by byte: changes of a format are visible."""

import json
from pathlib import Path

import pytest

from probekit.exporters.clickhouse.rows import ClickhouseRows
from probekit.exporters.clickhouse.tables import TABLES, statement_of
from probekit.exporters.elasticsearch.bulk import body_of
from probekit.exporters.elasticsearch.documents import Documents
from probekit.exporters.elasticsearch.mappings import TYPES, stream_of, template_of
from probekit.exporters.sql.rows import Rows
from probekit.testing.contract import sample_batch

GOLDEN = Path(__file__).parent / "golden"
START_NS = 1_700_000_000 * 10**9


def bulk():
    streams = {signal: stream_of(signal, "probekit", "default") for signal in TYPES}
    return body_of(Documents().of(sample_batch(START_NS)), streams).decode()


def templates():
    made = {
        kind: template_of(signal, "probekit", dots_are_dots=True)
        for signal, kind in TYPES.items()
    }
    return json.dumps(made, indent=1) + "\n"


def inserts():
    return "".join(
        f"-- {insert.token}\n{insert.body.decode()}"
        for insert in ClickhouseRows().inserts(sample_batch(START_NS))
    )


def statements():
    return "".join(statement_of(table, "otel", 30) + ";\n" for table in TABLES)


def rows():
    made = Rows().of(sample_batch(START_NS))
    return json.dumps(made, indent=1, default=str) + "\n"


@pytest.mark.parametrize(
    "name, made",
    [
        ("elasticsearch-bulk.ndjson", bulk),
        ("elasticsearch-templates.json", templates),
        ("clickhouse-rows.ndjson", inserts),
        ("clickhouse-tables.sql", statements),
        ("sql-rows.json", rows),
    ],
)
def test_the_format_is_the_golden_file(name, made):
    assert (GOLDEN / name).read_text("utf-8") == made()
