"""What the stores are sent, byte by byte: changes of a format are visible."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from probekit.exporters.clickhouse.rows import ClickhouseRows
from probekit.exporters.clickhouse.tables import TABLES, statement_of
from probekit.exporters.elasticsearch.bulk import body_of
from probekit.exporters.elasticsearch.documents import Documents
from probekit.exporters.elasticsearch.mappings import TYPES, stream_of, template_of
from probekit.exporters.otlp.json_form import as_json
from probekit.exporters.otlp.logs import encode_logs
from probekit.exporters.otlp.metrics import MetricsEncoder
from probekit.exporters.otlp.traces import encode_traces
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


def otlp(kind, encode):
    """The request as bytes, sixteen a line, and what it says, as OTLP/JSON."""
    batch = replace(sample_batch(START_NS), began_unix_ns=START_NS - 10**12)
    message = encode(batch)
    lines = [message[at : at + 16].hex(" ") for at in range(0, len(message), 16)]
    document = json.dumps(json.loads(as_json(kind, message)), indent=1)
    return "\n".join([*lines, "", document, ""])


@pytest.mark.parametrize(
    "name, made",
    [
        ("otlp-metrics.txt", lambda: otlp("metrics", MetricsEncoder().encode)),
        (
            "otlp-metrics-cumulative.txt",
            lambda: otlp("metrics", MetricsEncoder(cumulative=True).encode),
        ),
        ("otlp-logs.txt", lambda: otlp("logs", encode_logs)),
        ("otlp-traces.txt", lambda: otlp("traces", encode_traces)),
        ("elasticsearch-bulk.ndjson", bulk),
        ("elasticsearch-templates.json", templates),
        ("clickhouse-rows.ndjson", inserts),
        ("clickhouse-tables.sql", statements),
        ("sql-rows.json", rows),
    ],
)
def test_the_format_is_the_golden_file(name, made):
    assert (GOLDEN / name).read_text("utf-8") == made()
