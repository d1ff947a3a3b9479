"""No backend sees two series as one: the later one's name carries a mark.

Each encoding forbids other characters, folds and cuts; whatever two names it makes the
same must be told apart all the same, and one series keeps one name.
"""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.exporters.clickhouse.rows import ClickhouseRows
from probekit.exporters.elasticsearch.documents import Documents
from probekit.exporters.graphite.encoding import GraphiteMetrics
from probekit.exporters.influxdb.lines import InfluxLines
from probekit.exporters.jsonlines import JsonLines
from probekit.exporters.nagios.results import NagiosResults
from probekit.exporters.naming import Names
from probekit.exporters.opentsdb.encoding import OpenTsdbPoints
from probekit.exporters.prometheus.naming import PrometheusNames
from probekit.exporters.sql.rows import Rows
from probekit.exporters.statsd.encoding import StatsdLines
from probekit.exporters.zabbix.values import ZabbixValues
from probekit.model import Batch, Point, Resource, Series, Window

WHO = Resource({"service.name": "shop", "host.name": "h1"})
NAME = st.sampled_from(
    ["a", "a b", "a:b", "a_b", "a.b", "A.b", "a..b", "é", "a b_", "x" * 300, "x" * 301]
) | st.text("aA.:_ /;=é|", min_size=1, max_size=4)
VALUE = NAME | st.integers(0, 2) | st.sampled_from(["0", "1", "true", "1.5", 1.5, ""])
ATTRIBUTES = st.dictionaries(NAME, VALUE, max_size=2)
SERIES = st.builds(
    lambda name, attributes: Series(
        name, "counter", "", tuple(sorted(attributes.items()))
    ),
    NAME,
    ATTRIBUTES,
)


def batch(*series):
    points = [
        Point(one, 1.0, total=1.0, series_id=number)
        for number, one in enumerate(series, 1)
    ]
    return Batch("0" * 32, WHO, (Window(1, 0, 10**10, points),))


def before_numbers(lines):
    """The part of a line before its figures and its time."""
    return [line.rsplit(b" ", 2)[0] for line in lines]


def statsd(tags):
    encode = StatsdLines(tags=tags).chunks
    return lambda made: [re.sub(rb":[^|]*\|", b":|", line) for line in encode(made)]


def prometheus():
    names = PrometheusNames()

    def of(made):
        found = [names.of(point.series) for point in made.windows[0].points]
        return [(each.family.name, each.labels) for each in found]

    return of


def influxdb():
    encode = InfluxLines().lines
    return lambda made: before_numbers(encode(made))


def graphite(tags):
    encode = GraphiteMetrics(tags=tags).lines
    return lambda made: before_numbers(encode(made))


def opentsdb():
    encode = OpenTsdbPoints().telnet
    return lambda made: [
        (line.split(b" ")[1], *sorted(line.split(b" ")[4:])) for line in encode(made)
    ]


def nagios():
    encode = NagiosResults().of
    return lambda made: [result.service for result in encode(made)]


def zabbix():
    encode = ZabbixValues().encode
    return lambda made: [value.key for value in encode(made).values]


def elasticsearch():
    encode = Documents().of
    return lambda made: [json.dumps(found, default=str) for found in encode(made)]


def clickhouse():
    encode = ClickhouseRows().inserts
    return lambda made: [
        line for insert in encode(made) for line in insert.body.splitlines()
    ]


def sql():
    encode = Rows().of
    return lambda made: [row["series_key"] for row in encode(made)["points"]]


ENCODINGS = {
    "influxdb": influxdb,
    "graphite, path": lambda: graphite("path"),
    "graphite, tags": lambda: graphite("graphite"),
    "opentsdb": opentsdb,
    "statsd, path": lambda: statsd("path"),
    "statsd, graphite": lambda: statsd("graphite"),
    "dogstatsd": lambda: statsd("dogstatsd"),
    "prometheus": prometheus,
    "nagios": nagios,
    "zabbix": zabbix,
    "elasticsearch": elasticsearch,
    "clickhouse": clickhouse,
    "sql": sql,
    "json lines": lambda: JsonLines().lines,
}


def one(name, **attributes):
    return Series(name, "counter", "", tuple(sorted(attributes.items())))


TWINS = [
    (one("a", k=1), one("a", k="1")),
    (one("a", k=True), one("a", k="true")),
    (one("a", k=1.5), one("a", k="1.5")),
    (one("a", k=("x",)), one("a", k='["x"]')),
    (one("a"), one("a", k="")),
    (one("a"), one(" ")),
    (one("a"), one("A")),
    (one("a", k="x"), one("a", K="x")),
    (one("a.k.v"), one("a", k="v")),
    (one("a"), one("a", service="y")),
    (one("a", host="y"), one("a", service="h1")),
    (one("a"), one("a\0")),
    (one("x" * 900 + "a"), one("x" * 900 + "b")),
    (one("a", k="x" * 900 + "a"), one("a", k="x" * 900 + "b")),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_twins_are_told_apart(encoding):
    for twins in TWINS:
        names = ENCODINGS[encoding]()

        assert 2 == len(set(names(batch(*twins)))), twins


def test_a_mark_that_is_somebodys_name_gets_longer():
    names = Names()
    marked = names.unique("a_b", "a:b"), names.unique("a_b", "a b")
    again = Names()
    again.unique("a_b", "a:b")
    again.unique(marked[1], "the name itself")

    assert marked[1] != again.unique("a_b", "a b")
    assert again.unique("a_b", "a b").startswith(f"{marked[1]}")


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=25)
@given(st.lists(SERIES, min_size=2, max_size=4, unique=True))
def test_series_that_differ_have_names_that_differ(encoding, series):
    names = ENCODINGS[encoding]()
    first = names(batch(*series))

    assert len(series) == len(set(first)) == len(first)
    assert first == names(batch(*series))
