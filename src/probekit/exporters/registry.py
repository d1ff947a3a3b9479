"""From a URL to an exporter: a table of schemes, and the entry points that add to it.

A factory takes a :class:`~probekit.exporters.urls.Target` and returns an exporter; it
opens nothing. A key that ends in ``+`` stands for all schemes that begin so.
"""

import difflib
import importlib
from collections.abc import Callable
from typing import cast

from probekit.errors import ConfigError
from probekit.exporters.urls import Target, redacted, scheme_of
from probekit.ports import Exporter

GROUP = "probekit.exporters"

BUILTIN: "dict[str, str]" = {
    "collectd": "probekit.exporters.collectd.exporter:from_target",
    "clickhouse": "probekit.exporters.clickhouse.exporter:from_target",
    "clickhouse+https": "probekit.exporters.clickhouse.exporter:from_target",
    "console": "probekit.exporters.console:from_target",
    "elasticsearch": "probekit.exporters.elasticsearch.exporter:from_target",
    "elasticsearch+https": "probekit.exporters.elasticsearch.exporter:from_target",
    "opensearch": "probekit.exporters.elasticsearch.exporter:from_target",
    "opensearch+https": "probekit.exporters.elasticsearch.exporter:from_target",
    "file": "probekit.exporters.file:from_target",
    "ganglia": "probekit.exporters.ganglia.exporter:from_target",
    "graphite": "probekit.exporters.graphite.exporter:from_target",
    "graphite+pickle": "probekit.exporters.graphite.exporter:from_target",
    "graphite+udp": "probekit.exporters.graphite.exporter:from_target",
    "influxdb": "probekit.exporters.influxdb.exporter:from_target",
    "influxdb+https": "probekit.exporters.influxdb.exporter:from_target",
    "influxdb+tcp": "probekit.exporters.influxdb.exporter:from_target",
    "influxdb+udp": "probekit.exporters.influxdb.exporter:from_target",
    "kafka": "probekit.exporters.brokers.kafka:from_target",
    "loki": "probekit.exporters.loki.exporter:from_target",
    "loki+https": "probekit.exporters.loki.exporter:from_target",
    "opentsdb": "probekit.exporters.opentsdb.exporter:from_target",
    "opentsdb+https": "probekit.exporters.opentsdb.exporter:from_target",
    "opentsdb+telnet": "probekit.exporters.opentsdb.exporter:from_target",
    "nats": "probekit.exporters.brokers.jetstream:from_target",
    "nagios": "probekit.exporters.nagios.exporter:from_target",
    "nagios+nrdp": "probekit.exporters.nagios.exporter:from_target",
    "nagios+nrdp+https": "probekit.exporters.nagios.exporter:from_target",
    "nagios+nsca": "probekit.exporters.nagios.exporter:from_target",
    "otlp": "probekit.exporters.otlp.exporter:from_target",
    "otlp+http": "probekit.exporters.otlp.exporter:from_target",
    "otlp+https": "probekit.exporters.otlp.exporter:from_target",
    "otlp+grpc": "probekit.exporters.otlp.grpc:from_target",
    "otlp+json": "probekit.exporters.otlp.exporter:from_target",
    "otlp+json+https": "probekit.exporters.otlp.exporter:from_target",
    "prometheus": "probekit.exporters.prometheus.exporter:from_target",
    "prometheus-remote-write": "probekit.exporters.prometheus.remote:from_target",
    "pushgateway": "probekit.exporters.prometheus.pushgateway:from_target",
    "redis": "probekit.exporters.brokers.redis_stream:from_target",
    "sql+": "probekit.exporters.sql.exporter:from_target",
    "statsd": "probekit.exporters.statsd.exporter:from_target",
    "statsd+tcp": "probekit.exporters.statsd.exporter:from_target",
    "statsd+udp": "probekit.exporters.statsd.exporter:from_target",
    "syslog": "probekit.exporters.syslog.exporter:from_target",
    "syslog+tcp": "probekit.exporters.syslog.exporter:from_target",
    "syslog+tls": "probekit.exporters.syslog.exporter:from_target",
    "syslog+udp": "probekit.exporters.syslog.exporter:from_target",
    "tcp": "probekit.exporters.tcp:from_target",
    "tcp+tls": "probekit.exporters.tcp:from_target",
    "udp": "probekit.exporters.udp:from_target",
    "zabbix": "probekit.exporters.zabbix.exporter:from_target",
}


def build(spec: "str | Exporter") -> Exporter:
    """Make an exporter of a URL; an exporter passes as it is.

    Args:
        spec: ``"otlp://127.0.0.1:4318"``, or an object with ``contract``, ``send``
            and ``close``.

    Returns:
        An exporter that has not opened anything yet.

    Raises:
        ConfigError: The scheme is unknown (the nearest known one is named), the URL
            is malformed, or a query parameter is unknown or has a wrong value. The
            text never holds userinfo or query values that are secret.

    Example:
        >>> build("console:").contract.acknowledges
        False

    """
    if not isinstance(spec, str):
        if isinstance(spec, type) or not isinstance(spec, Exporter):
            raise ConfigError(
                f"exporters: want a URL or an object with contract, send and close, "
                f"got {_described(spec)}",
            )
        return spec
    scheme = scheme_of(spec)
    reference = _reference(scheme)
    if reference is None:
        raise ConfigError(_unknown(scheme, spec))
    module, _, name = reference.partition(":")
    factory = cast(
        "Callable[[Target], Exporter]",
        getattr(importlib.import_module(module), name),
    )
    return factory(Target.parse(spec))


def known_schemes() -> "tuple[str, ...]":
    """Every scheme that :func:`build` understands here, sorted.

    Example:
        >>> "otlp" in known_schemes()
        True

    """
    return tuple(sorted({*BUILTIN, *_installed()}))


def _reference(scheme: str) -> "str | None":
    for table in (BUILTIN, _installed):
        known = table() if callable(table) else table
        family = scheme.partition("+")[0] + "+"
        found = known.get(scheme) or known.get(family)
        if found:
            return found
    return None


def _installed() -> "dict[str, str]":
    """Schemes that other packages bring; read only when ours do not suffice."""
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP)}


def _unknown(scheme: str, url: str) -> str:
    known = known_schemes()
    near = difflib.get_close_matches(scheme, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    if not scheme:
        if url.strip() in known:  # a name alone: what it wants is behind its colon
            hint = f"did you mean {url.strip() + ':'!r}?"
        return f"exporters: {redacted(url)!r} has no scheme; {hint}"
    return f"exporters: unknown scheme {scheme!r} in {redacted(url)!r}; {hint}"


def _described(spec: object) -> str:
    if isinstance(spec, type):
        return f"the class {spec.__name__} (give an instance)"
    return f"a {type(spec).__name__}"
