"""Bulk bodies and rows for stores, against OpenSearch's own client and plain JSON.

The peer starts from documents that are ready as dicts, which is less than we do: we
start from points. Both make the body of one bulk request.
"""

import json
import statistics

from encoding import SERIES, counter_batch, histogram_batch, measure
from opensearchpy.helpers.actions import _chunk_actions, expand_action
from opensearchpy.serializer import JSONSerializer
from table import Row, Table

from probekit.exporters.clickhouse.rows import ClickhouseRows
from probekit.exporters.elasticsearch.bulk import body_of
from probekit.exporters.elasticsearch.documents import Documents
from probekit.exporters.sql.rows import Rows

STREAMS = {"metrics": "metrics-probekit-default"}
MOST = 10**9


def peer(documents):
    """The body that opensearch-py's helper makes."""
    actions = [
        {
            "_op_type": "create",
            "_index": STREAMS[document.signal],
            "_id": document.id,
            **json.loads(document.source),
        }
        for document in documents
    ]
    serializer = JSONSerializer()

    def encode():
        ready = map(expand_action, actions)
        (chunk,) = _chunk_actions(ready, MOST, MOST, serializer)
        return "\n".join(chunk[1])

    return encode


def plain(rows):
    """JSON lines of rows that are ready as dicts: what a driver would send."""
    return lambda: "\n".join(map(json.dumps, rows))


def run():
    made = {"counter": counter_batch(), "histogram": histogram_batch()}
    documents, clickhouse, sql = Documents(), ClickhouseRows(), Rows()
    contenders = {}
    for kind, batch in made.items():
        contenders[f"Elasticsearch, {kind}"] = (
            lambda batch=batch: body_of(documents.of(batch), STREAMS),
            SERIES,
        )
        contenders[f"peer Elasticsearch, {kind}"] = (
            peer(documents.of(batch)),
            SERIES,
        )
        (insert,) = clickhouse.inserts(batch)
        rows = [json.loads(line) for line in insert.body.splitlines()]
        contenders[f"ClickHouse, {kind}"] = (
            lambda batch=batch: clickhouse.inserts(batch),
            SERIES,
        )
        contenders[f"peer ClickHouse, {kind}"] = (plain(rows), SERIES)
        contenders[f"SQL rows, {kind}"] = (lambda batch=batch: sql.of(batch), SERIES)
    times = measure(contenders)
    table = Table("Stores: encoding", note=f"{SERIES} series; per series.")
    for name in [name for name in times if f"peer {name}" in times]:
        found = statistics.median(
            a / b for a, b in zip(times[f"peer {name}"], times[name], strict=True)
        )
        against = "opensearch-py" if "Elastic" in name else "json.dumps of ready rows"
        what = f"{name}: cheaper than {against}"
        table.rows.append(Row(what, found, "x", lower_is_better=False))
    for name, found in times.items():
        note = f"best {min(found):,.0f} ns"
        table.rows.append(Row(name, statistics.median(found), note=note))
    return table


if __name__ == "__main__":
    print(run().to_markdown())
