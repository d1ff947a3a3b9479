"""Encodings and transports: how each backend wants what was recorded.

Comes here: ``delivery`` through the port ``Exporter``, and people who write exporters
in code. Promises never to import a backend's library, open a socket or touch a file
before an exporter is built.
"""

import importlib
from typing import TYPE_CHECKING

from probekit.exporters.registry import build, known_schemes

if TYPE_CHECKING:
    from probekit.exporters.collectd.exporter import Collectd
    from probekit.exporters.console import Console
    from probekit.exporters.file import File
    from probekit.exporters.ganglia.exporter import Ganglia
    from probekit.exporters.graphite.exporter import Graphite
    from probekit.exporters.influxdb.exporter import Influxdb
    from probekit.exporters.loki.exporter import Loki
    from probekit.exporters.nagios.exporter import Nagios
    from probekit.exporters.opentsdb.exporter import OpenTsdb, OpenTsdbTelnet
    from probekit.exporters.otlp.exporter import Otlp
    from probekit.exporters.prometheus.exporter import Prometheus
    from probekit.exporters.prometheus.pushgateway import Pushgateway
    from probekit.exporters.prometheus.remote import RemoteWrite
    from probekit.exporters.statsd.exporter import Statsd
    from probekit.exporters.syslog.exporter import Syslog
    from probekit.exporters.tcp import Tcp
    from probekit.exporters.udp import Udp
    from probekit.exporters.zabbix.exporter import Zabbix

__all__ = (
    "Collectd",
    "Console",
    "File",
    "Ganglia",
    "Graphite",
    "Influxdb",
    "Loki",
    "Nagios",
    "OpenTsdb",
    "OpenTsdbTelnet",
    "Otlp",
    "Prometheus",
    "Pushgateway",
    "RemoteWrite",
    "Statsd",
    "Syslog",
    "Tcp",
    "Udp",
    "Zabbix",
    "build",
    "known_schemes",
)

_HOME_OF = {
    "Collectd": "collectd.exporter",
    "Console": "console",
    "File": "file",
    "Ganglia": "ganglia.exporter",
    "Graphite": "graphite.exporter",
    "Influxdb": "influxdb.exporter",
    "Loki": "loki.exporter",
    "OpenTsdb": "opentsdb.exporter",
    "OpenTsdbTelnet": "opentsdb.exporter",
    "Nagios": "nagios.exporter",
    "Otlp": "otlp.exporter",
    "Prometheus": "prometheus.exporter",
    "Pushgateway": "prometheus.pushgateway",
    "RemoteWrite": "prometheus.remote",
    "Statsd": "statsd.exporter",
    "Syslog": "syslog.exporter",
    "Tcp": "tcp",
    "Udp": "udp",
    "Zabbix": "zabbix.exporter",
}


def __getattr__(name: str) -> object:
    """Load an exporter's module when its class is first asked for."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> "list[str]":
    """The public names, loaded or not."""
    return sorted(__all__)
