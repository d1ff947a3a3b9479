"""InfluxDB, Graphite, OpenTSDB and DogStatsD lines against each ecosystem's own client.

All contenders of a round encode the same counters, in shuffled order, in one process; a
ratio is the median over the rounds of (peer's time / our time). Both sides are warm.
Where there is no client that is kept, ours stand alone, beside ``json.dumps``.
"""

import json
import statistics
import types

import graphyte
from datadog.dogstatsd import DogStatsd
from encoding import END, RESOURCE, SERIES, counter_batch, histogram_batch, measure
from encoding_prometheus import apart
from influxdb_client import Point as InfluxPoint
from influxdb_client import WritePrecision
from table import Row, Table

from probekit.exporters.collectd.packets import CollectdPackets
from probekit.exporters.graphite.encoding import GraphiteMetrics
from probekit.exporters.influxdb.lines import InfluxLines
from probekit.exporters.loki.streams import LokiStreams
from probekit.exporters.opentsdb.encoding import OpenTsdbPoints
from probekit.exporters.statsd.encoding import StatsdLines
from probekit.exporters.syslog.messages import SyslogMessages
from probekit.model import Batch, Event, Resource

EVENTS = 200


def told(points):
    """(name, tags as texts, value) as an application would hand them to a client."""
    who = {"host": RESOURCE["host.name"], "service": RESOURCE["service.name"]}
    return [
        (p.series.name, {**who, **{k: str(v) for k, v in p.series.attributes}}, p.value)
        for p in points
    ]


def influx_client(records):
    def encode():
        lines = []
        for name, tags, value in records:
            point = InfluxPoint(name).time(END, WritePrecision.NS)
            for key, text in tags.items():
                point.tag(key, text)
            point.field("value", value).field("total", value)
            lines.append(point.to_line_protocol())
        return "\n".join(lines).encode()

    return encode


def graphite_client(records):
    build = graphyte.Sender.build_message
    sender = types.SimpleNamespace(prefix=None, tags={})  # its encoder, no socket
    time_s = END // 10**9

    def encode():
        return b"".join(
            build(sender, name, value, time_s, tags) for name, tags, value in records
        )

    return encode


def dogstatsd_client(records):
    client = DogStatsd(disable_telemetry=True, disable_buffering=True)
    tagged = [
        (name, [f"{key}:{text}" for key, text in tags.items()], value)
        for name, tags, value in records
    ]

    def encode():
        return "\n".join(
            client._serialize_metric(name, "c", value, tags)
            for name, tags, value in tagged
        ).encode()

    return encode


def json_dumps(records):
    def encode():
        return json.dumps(
            [
                {"metric": n, "timestamp": END // 10**6, "value": v, "tags": tags}
                for n, tags, v in records
            ]
        ).encode()

    return encode


def check_equal(counters, records):
    """What is compared must say the same, in the order of neither."""

    def parts(line):
        head, fields, time = line.rsplit(b" ", 2)
        return sorted(head.split(b",")), sorted(fields.split(b",")), time

    ours = InfluxLines().lines(counters)
    theirs = influx_client(records)().split(b"\n")
    whole = [t.replace(b"i,", b",") for t in theirs]
    assert [parts(a)[0] for a in ours] == [parts(b)[0] for b in whole]
    assert [parts(a)[2] for a in ours] == [parts(b)[2] for b in whole]
    items = [json.loads(item) for item in OpenTsdbPoints().json(counters)]
    peers = json.loads(json_dumps(records)())
    assert [i["value"] for i in items] == [p["value"] for p in peers]
    lines = GraphiteMetrics(tags="graphite").lines(counters)
    others = graphite_client(records)().splitlines()
    assert [a.split()[0].count(b";") for a in lines] == [
        b.split()[0].count(b";") for b in others
    ]


def run():
    counters, histograms = apart(counter_batch()), apart(histogram_batch())
    records = told(counters.windows[0].points)
    check_equal(counters, records)
    influx, graphite = InfluxLines(), GraphiteMetrics(tags="graphite")
    paths, opentsdb = GraphiteMetrics(), OpenTsdbPoints()
    dogstatsd, collectd = StatsdLines(tags="dogstatsd"), CollectdPackets()
    syslog, loki = SyslogMessages(), LokiStreams()
    attributes = {"order.id": "A1", "amount": 9, "plan": "pro"}
    events = [Event(END + n, "order.refunded", attributes) for n in range(EVENTS)]
    happened = Batch("0" * 32, Resource(RESOURCE), (), events)
    contenders = {
        "InfluxDB lines": (lambda: b"\n".join(influx.lines(counters)), SERIES),
        "influxdb-client": (influx_client(records), SERIES),
        "InfluxDB lines, histograms": (lambda: influx.lines(histograms), SERIES),
        "Graphite lines, tags": (lambda: b"\n".join(graphite.lines(counters)), SERIES),
        "graphyte": (graphite_client(records), SERIES),
        "Graphite lines, paths": (lambda: b"\n".join(paths.lines(counters)), SERIES),
        "Graphite, pickled": (lambda: b"".join(paths.frames(counters)), SERIES),
        "DogStatsD lines": (lambda: b"\n".join(dogstatsd.chunks(counters)), SERIES),
        "datadog's DogStatsd": (dogstatsd_client(records), SERIES),
        "OpenTSDB JSON": (lambda: b",".join(opentsdb.json(counters)), SERIES),
        "json.dumps": (json_dumps(records), SERIES),
        "OpenTSDB put lines": (lambda: b"\n".join(opentsdb.telnet(counters)), SERIES),
        "collectd packets": (lambda: collectd.packets(counters), SERIES),
        "syslog messages": (lambda: syslog.messages(happened), EVENTS),
        "Loki body": (lambda: loki.body(happened), EVENTS),
    }
    times = measure(contenders)
    table = Table(
        "Encoding for time-series and log servers",
        note=f"{SERIES} counters with 3 attributes, host and service; {EVENTS} events; "
        "median of shuffled rounds, per record.",
    )
    for peer, ours in (
        ("influxdb-client", "InfluxDB lines"),
        ("graphyte", "Graphite lines, tags"),
        ("datadog's DogStatsd", "DogStatsD lines"),
        ("json.dumps", "OpenTSDB JSON"),
    ):
        found = statistics.median(
            a / b for a, b in zip(times[peer], times[ours], strict=True)
        )
        name = f"{ours}: cheaper than {peer}"
        table.rows.append(Row(name, found, "x", lower_is_better=False))
    for name, found in times.items():
        best = f"best {min(found):,.0f} ns"
        table.rows.append(Row(name, statistics.median(found), note=best))
    return table


if __name__ == "__main__":
    print(run().to_markdown())
