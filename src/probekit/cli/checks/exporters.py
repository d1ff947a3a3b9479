"""Exporters: can each be made, and does somebody answer where it sends to?"""

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from probekit.cli.checks.finding import Finding, fail, ok, warn
from probekit.errors import ConfigError
from probekit.exporters import build
from probekit.exporters.urls import Target
from probekit.ports import Exporter
from probekit.settings import redacted

CONNECT_S = 2.0
# Where the URL names no port. A scheme that is in neither table is tried as TCP when
# its URL names a port.
_PORTS = {
    "otlp": 4318, "otlp+http": 4318, "otlp+https": 4318, "otlp+json": 4318,
    "otlp+grpc": 4317, "statsd+tcp": 8125, "statsd": 8125, "graphite": 2003,
    "graphite+pickle": 2004, "influxdb": 8086, "opentsdb": 4242, "zabbix": 10051,
    "elasticsearch": 9200, "clickhouse": 8123, "pushgateway": 9091, "kafka": 9092,
    "prometheus-remote-write": 9090, "otlp+json+https": 4318,
    "nats": 4222, "redis": 6379, "probekit": 4319, "ganglia": 8649,
    "nagios+nsca": 5667, "nagios+nrdp": 80, "nagios+nrdp+https": 443,
}  # fmt: skip
_DATAGRAMS = {"udp", "statsd", "statsd+udp", "ganglia"}
_SERVERS = {"prometheus"}  # they are asked; they call nobody


def check_exporters(specs: "Sequence[str | Exporter]") -> "Iterator[Finding]":
    """One line for each; two seconds at most for each of its hosts."""
    if not specs:
        yield ok("exporter", "none: the buffer keeps everything until retention")
    for spec in specs:
        try:
            build(spec)
        except ConfigError as error:
            yield fail("exporter", str(error))
            continue
        if isinstance(spec, str):
            yield from _reach(Target.parse(spec), redacted(spec))


def _reach(target: Target, shown: str) -> "Iterator[Finding]":
    if target.scheme in _SERVERS:
        yield ok("exporter", f"{shown} is asked by others")
    elif not target.hosts:
        yield _local(target, shown)
    else:
        for host, port in target.hosts:
            number = port or _PORTS.get(target.scheme)
            if number is None:
                yield warn("exporter", f"{shown} names no port; not tried")
            elif target.scheme in _DATAGRAMS or target.scheme.endswith("+udp"):
                yield _resolve(host.strip("[]"), number, shown)
            else:
                yield _connect(host.strip("[]"), number, shown)


def _connect(host: str, port: int, shown: str) -> Finding:
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        return fail("exporter", f"{shown}: nobody answers at {host}:{port}: {why}")
    return ok("exporter", f"{shown}: {host}:{port} takes connections")


def _resolve(host: str, port: int, shown: str) -> Finding:
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        return fail("exporter", f"{shown}: {host} has no address: {error.strerror}")
    return ok("exporter", f"{shown}: datagrams, which nobody acknowledges")


def _local(target: Target, shown: str) -> Finding:
    if not target.path:
        return ok("exporter", shown)
    place = Path(target.path)
    known = place if place.exists() else place.parent
    if os.access(known, os.W_OK):
        return ok("exporter", f"{shown} can be written")
    return fail("exporter", f"{shown}: {known} cannot be written")
