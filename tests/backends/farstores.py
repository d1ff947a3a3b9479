"""The servers of records as sides of the outage; as in ``farseries``.

One that keeps in memory what it has acknowledged forgets it when it is killed. Such a
one is ended by SIGTERM or stands still (SIGSTOP), and the matrix says so.
"""

import functools
import importlib.metadata
import json
import re
import signal
import sys
from pathlib import Path

import brokerread
import brokerservers
import otlpserver
import searchservers
import sqlservers
import syslogserver
import zabbixserver
from clickhouseserver import Engine, clickhouse
from farseries import ON_ITS_WAY
from killable import Killable
from outage import Again, Server, Side
from servers import eventually

from freeports import free_ports
from probekit.exporters import build
from probekit.testing import HttpReceiver, Reply
from probekit.testing.contract import sample_batch

POINT = re.compile(
    r"^StartTimestamp: (\d+)\nTimestamp: (\d+)\nValue: (\S+)", re.MULTILINE
)
EVENT = re.compile(r"EventName: operation\n(?:.*\n){1,5}?.*number: Int\((\d+)\)")


def still(server):
    """(kill, start) of a Killable that only stands still."""

    def stop():
        server._server.send_signal(signal.SIGSTOP)

    def go_on():
        server._server.send_signal(signal.SIGCONT)

    return stop, go_on


def messages(read):
    """(operations, numbers) of a broker's messages."""

    def numbers():
        return [told["number"] for name, told in read().events if name == "operation"]

    return lambda: read().summed("shop.operations"), numbers


def redis(stack, folder):
    """A stream; the server has on its disk what it acknowledges."""
    server = stack.enter_context(brokerservers.redis(folder))
    url = f"redis://127.0.0.1:{server.port}/telemetry?timeout_s=2"
    reading = messages(lambda: brokerread.redis_stream(server))
    name = brokerservers.version_of("redis-server", "--version")
    return Server(
        f"Redis {re.search(r'v=([0-9.]+)', name)[1]}",
        [Side("`redis:`", url, *reading)],
        server.kill,
        server.start,
    )


def nats(stack, folder):
    """A JetStream."""
    server = stack.enter_context(brokerservers.nats(folder))
    brokerread.nats_asked(server, brokerread.add_stream())
    url = f"nats://127.0.0.1:{server.port}/telemetry.shop?timeout_s=2"
    reading = messages(lambda: brokerread.nats_stream(server))
    name = brokerservers.version_of("nats-server", "--version").replace(": v", " ")
    return Server(name, [Side("`nats:`", url, *reading)], server.kill, server.start)


def kafka(stack, folder):
    """A topic, each message taken once by its key; the broker keeps all in memory."""
    server = stack.enter_context(brokerservers.kafka(folder))
    url = f"kafka://127.0.0.1:{server.port}/telemetry?idempotence=0&timeout_s=2"

    def read():
        found = brokerread.kafka_topic(server).messages
        return brokerservers.Found({key: (key, *m) for key, *m in found}.values())

    sides = [Side("`kafka:` (by key)", url, *messages(read))]
    return Server("tansu 0.6 (Kafka's protocol)", sides, *still(server), "SIGSTOP")


def sql(start, name, stack, folder):
    """A database; PostgreSQL's SIGQUIT is its "at once, without a farewell"."""
    database = stack.enter_context(start(folder))

    def summed():
        query = "SELECT sum(value) FROM probekit_metrics WHERE name = 'shop.operations'"
        ((value,),) = database.rows(query)
        return value

    def numbers():
        query = "SELECT attributes FROM probekit_events WHERE name = 'operation'"
        told = [attributes for (attributes,) in database.rows(query)]
        return [(json.loads(t) if isinstance(t, str) else t)["number"] for t in told]

    side = Side(
        f"`sql+{name}:`", f"{database.exporter_url}?timeout_s=3", summed, numbers
    )
    server = database.server
    how = server._sign.name
    return Server(database.version(), [side], server.kill, server.start, how)


def search(start, name, stack, folder):
    """Documents of a server that speaks the protocol."""
    found = stack.enter_context(start(folder))

    def summed():
        name = "metrics-probekit-default"
        documents = found.documents(name, name="shop.operations")
        return sum(document["value"] for document in documents)

    def numbers():
        documents = found.documents("logs-probekit-default", name="operation")
        return [document["attributes"]["number"] for document in documents]

    sides = [Side(f"`elasticsearch:` ({name})", found.url, summed, numbers)]
    version = f"{name} {found.version()}"
    if start is searchservers.osmem:
        return Server(version, sides, *still(found.server), "SIGSTOP")
    return Server(version, sides, found.server.kill, found.server.start, "SIGTERM")


def clickhouse_(stack, folder):
    """ClickHouse's engine."""
    server = stack.enter_context(clickhouse(folder))
    engine = Engine(server)

    def summed():
        query = "SELECT sum(Value) AS v FROM out.otel_metrics_sum "
        rows = engine.rows(query + "WHERE MetricName = 'shop.operations'")
        return rows[0]["v"]

    def numbers():
        query = "SELECT LogAttributes['number'] AS n FROM out.otel_logs "
        rows = engine.rows(query + "WHERE LogAttributes['event.name'] = 'operation'")
        return [int(row["n"]) for row in rows]

    version = engine.rows("SELECT version() AS v")[0]["v"]
    sides = [Side("`clickhouse:`", engine.url("out"), summed, numbers)]
    name = f"ClickHouse {version} (chdb)"
    return Server(name, sides, server.kill, server.start)


def otlp(scheme, stack, folder):
    """A receiver that has printed what it accepted once it has ended."""
    ports = free_ports(2)
    server = Again(functools.partial(otlpserver.rotel, folder, ports), signal.SIGTERM)
    stack.callback(server.kill)

    def summed():
        metrics = server.far.text().split("Name: ")
        mine = [text for text in metrics if text.startswith("shop.operations\n")]
        return sum(float(point[-1]) for text in mine for point in POINT.findall(text))

    def numbers():
        return [int(number) for number in EVENT.findall(server.far.text())]

    port = ports[1] if scheme == "otlp+grpc" else ports[0]
    sides = [Side(f"`{scheme}:`", f"{scheme}://127.0.0.1:{port}", summed, numbers)]
    name = f"rotel {importlib.metadata.version('rotel')}"
    return Server(name, sides, server.kill, server.start, "SIGTERM")


def zabbix(server, _stack, _folder):
    """Zabbix writes its history a second later than it acknowledges."""
    server.make_host("shop-out", "probekit")
    url = f"zabbix://127.0.0.1:{server.port}?host=shop-out"
    exporter = build(url)
    assert eventually(lambda: zabbixserver.arrives(exporter, sample_batch()), 20)
    exporter.close()

    def total():
        found = server.history("shop-out", "probekit.counter[shop.operations]")
        return found[-1] if found else None

    def numbers():
        texts = server.history("shop-out", "probekit.events")
        return [json.loads(t)["number"] for t in texts if '"operation"' in t]

    sides = [Side("`zabbix:`", url, total, numbers)]
    name = f"Zabbix {zabbixserver.zabbix_version()}"
    return Server(name, sides, server.stop, server.start, "SIGTERM")


def loki(stack, _folder):
    """A receiver of our own: no Loki can be had."""
    receiver = stack.enter_context(HttpReceiver(reply=Reply(204)))

    def lines():
        return [
            json.loads(line)
            for request in receiver.requests
            for stream in json.loads(request.body)["streams"]
            for _, line in stream["values"]
        ]

    def total():
        found = [each["total"] for each in lines() if each["name"] == "shop.operations"]
        return found[-1] if found else None

    def numbers():
        return [each["number"] for each in lines() if each["name"] == "operation"]

    url = f"loki://127.0.0.1:{receiver.port}?signals=events,metrics"
    sides = [Side("`loki:`", url, total, numbers)]
    return Server("own receiver", sides, receiver.stop, receiver.start, "closed")


def nrdp(stack, folder):
    """A receiver of our own, which spools each result as a file."""
    (port,) = free_ports(1)
    spool = folder / "spool"
    spool.mkdir(parents=True)
    program = Path(__file__).with_name("nrdp_receiver.py")
    arguments = [sys.executable, program, port, spool, "secret"]
    server = stack.enter_context(Killable(arguments, folder, port, signal.SIGTERM))

    def said(pattern):
        texts = [path.read_text("utf-8") for path in spool.glob("c??????")]
        return [found for text in texts for found in re.findall(pattern, text)]

    def summed():
        told = said(r"\n.*=shop\.operations\n(?:.*\n)*.*'value'=(\d+) 'total'=(\d+)c")
        return sum(int(value) for value, _ in told)

    def numbers():
        return [int(number) for number in said(r"operation number=(\d+)")]

    url = f"nagios+nrdp://127.0.0.1:{port}/?token=secret&host=h1"
    sides = [Side("`nagios+nrdp:`", url, summed, numbers)]
    return Server("own receiver", sides, server.kill, server.start, "SIGTERM")


def syslog(stack, folder):
    """Rsyslog over UDP and TCP, told apart by their facility."""
    (port,) = free_ports(1)
    server = Again(functools.partial(syslogserver.rsyslog, folder, port))
    stack.callback(server.kill)

    def side(scheme, facility):
        def read(kind):
            mine = [m for m in server.far.read() if m["facility"] == facility]
            return [message for message in mine if message["id"] == kind]

        def total():
            told = [json.loads(message["text"]) for message in read("metric")]
            found = [t["total"] for t in told if t["name"] == "shop.operations"]
            return found[-1] if found else None

        def numbers():
            data = [message["data"] for message in read("operation")]
            return [int(re.search(r'number="(\d+)"', each)[1]) for each in data]

        query = f"facility={facility}&signals=events,metrics"
        url = f"{scheme}://127.0.0.1:{port}?{query}"
        double = ON_ITS_WAY if scheme == "syslog+tcp" else 0
        return Side(f"`{scheme}:`", url, total, numbers, ON_ITS_WAY, double)

    sides = [side("syslog", "local3"), side("syslog+tcp", "local4")]
    name = f"rsyslog {syslogserver.version()}"
    return Server(name, sides, server.kill, server.start)


MAKERS = {
    "redis": redis,
    "nats": nats,
    "kafka": kafka,
    "postgres": functools.partial(sql, sqlservers.postgres, "postgresql"),
    "mariadb": functools.partial(sql, sqlservers.mariadb, "mariadb"),
    "noida": functools.partial(search, searchservers.noida, "noida-db"),
    "osmem": functools.partial(search, searchservers.osmem, "osmem"),
    "clickhouse": clickhouse_,
    "otlp": functools.partial(otlp, "otlp"),
    "otlp+json": functools.partial(otlp, "otlp+json"),
    "otlp+grpc": functools.partial(otlp, "otlp+grpc"),
    "loki": loki,
    "nrdp": nrdp,
    "syslog": syslog,
}
