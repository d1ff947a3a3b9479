"""Zabbix, Nagios and Ganglia, of which only the first has a client that is kept.

All contenders of a round encode the same counters, in shuffled order, in one process; a
ratio is the median over the rounds of (peer's time / our time). Both sides are warm.
"""

import json
import logging
import statistics

from encoding import END, SERIES, counter_batch, histogram_batch, measure
from encoding_prometheus import apart
from table import Row, Table
from zabbix_utils import ItemValue
from zabbix_utils.common import ZabbixProtocol

from probekit.exporters.ganglia.metrics import GangliaMetrics
from probekit.exporters.ganglia.xdr import Source, value
from probekit.exporters.nagios.command_file import command_line
from probekit.exporters.nagios.nrdp import document
from probekit.exporters.nagios.nsca import packet, xored
from probekit.exporters.nagios.results import NagiosResults
from probekit.exporters.zabbix.values import ZabbixValues
from probekit.exporters.zabbix.wire import request

HOST = "web-1"


def zabbix_client(values):
    """zabbix_utils' own way from values to a frame, without the socket."""
    log = logging.getLogger("zabbix_utils")
    told = [
        (v.key, v.value, v.time_unix_ns // 10**9, v.time_unix_ns % 10**9)
        for v in values
    ]

    def encode():
        items = [ItemValue(HOST, key, text, at, ns) for key, text, at, ns in told]
        body = {"request": "sender data", "data": [item.to_json() for item in items]}
        return ZabbixProtocol.create_packet(body, log)

    return encode


def check_equal(values):
    """What is compared must say the same."""

    def data(frame):
        return [
            {**item, "clock": int(item["clock"]), "ns": int(item["ns"])}
            for item in json.loads(frame[13:])["data"]
        ]

    assert data(request(HOST, values)) == data(zabbix_client(values)())


def run():
    counters, histograms = apart(counter_batch()), apart(histogram_batch())
    zabbix, nagios, ganglia = ZabbixValues(), NagiosResults(), GangliaMetrics()
    values = zabbix.encode(counters).values
    check_equal(values)
    results = nagios.of(counters)
    source, vector = Source(HOST), bytes(range(128))

    def ganglia_packets():
        return [value(m.about.name, m.value, source) for m in ganglia.of(counters)]

    contenders = {
        "Zabbix request": (
            lambda: request(HOST, zabbix.encode(counters).values),
            SERIES,
        ),
        "zabbix_utils": (zabbix_client(values), SERIES),
        "Zabbix request, histograms": (
            lambda: request(HOST, zabbix.encode(histograms).values),
            SERIES,
        ),
        "Nagios commands": (
            lambda: [command_line(HOST, each) for each in nagios.of(counters)],
            SERIES,
        ),
        "NSCA packets, xor": (
            lambda: [
                xored(packet(HOST, each, END // 10**9), vector, b"secret")
                for each in results
            ],
            SERIES,
        ),
        "NRDP document": (lambda: document(HOST, results), SERIES),
        "Ganglia packets": (ganglia_packets, SERIES),
    }
    times = measure(contenders)
    table = Table(
        "Encoding for the classic monitoring systems",
        note=f"{SERIES} series with 3 attributes; median of shuffled rounds, per "
        "record. Ours begins at the batch, zabbix_utils at values that are ready.",
    )
    ratio = statistics.median(
        theirs / ours
        for theirs, ours in zip(
            times["zabbix_utils"], times["Zabbix request"], strict=True
        )
    )
    name = "Zabbix request: cheaper than zabbix_utils"
    table.rows.append(Row(name, ratio, "x", None, None, lower_is_better=False))
    for what, found in times.items():
        note = f"best {min(found):,.0f} ns"
        table.rows.append(Row(what, statistics.median(found), note=note))
    return table
