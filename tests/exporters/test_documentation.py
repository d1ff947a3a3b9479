"""The page of exporters names every scheme and every parameter."""

import re
from pathlib import Path

import pytest

from probekit.errors import ConfigError
from probekit.exporters import build
from probekit.exporters.registry import BUILTIN

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "exporters.md"
ROOMS = {
    "brokers",
    "clickhouse",
    "collectd",
    "console",
    "elasticsearch",
    "file",
    "ganglia",
    "graphite",
    "influxdb",
    "loki",
    "nagios",
    "opentsdb",
    "otlp",
    "prometheus",
    "sql",
    "statsd",
    "syslog",
    "tcp",
    "udp",
    "zabbix",
}
HERE = {
    scheme
    for scheme, place in BUILTIN.items()
    if place.split(":")[0].split(".")[2] in ROOMS
}


def documented_parameters():
    table = PAGE.read_text("utf-8").partition("## Parameters")[2].partition("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    return {
        name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])
    }


@pytest.mark.parametrize("scheme", sorted(HERE))
def test_every_scheme_and_parameter_is_on_the_page(scheme):
    rest = "///x" if scheme in {"console", "file", "nagios"} else "//h:1"
    with pytest.raises(ConfigError) as caught:
        build(f"{scheme}:{rest}?nonsense=1")
    allowed = set(str(caught.value).partition("allowed: ")[2].split(", "))

    assert f"`{scheme}:" in PAGE.read_text("utf-8")
    assert set() == allowed - documented_parameters()


def test_the_page_names_no_parameter_that_is_gone():
    allowed = set()
    for scheme in HERE:
        rest = "///x" if scheme in {"console", "file", "nagios"} else "//h:1"
        with pytest.raises(ConfigError) as caught:
            build(f"{scheme}:{rest}?nonsense=1")
        allowed |= set(str(caught.value).partition("allowed: ")[2].split(", "))

    assert set() == documented_parameters() - allowed
