import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import Rejected, RetryLater
from probekit.exporters.zabbix.discovery import found
from probekit.exporters.zabbix.identity import FIGURES, Identities
from probekit.exporters.zabbix.template import template
from probekit.exporters.zabbix.values import ZabbixValues
from probekit.exporters.zabbix.wire import body_bytes, outcome, request
from probekit.model import Batch, Point, Resource, Series, Window
from probekit.testing.contract import HOSTILE, sample_batch

GOLDEN = Path(__file__).parent / "golden" / "zabbix.txt"
START = 1_700_000_000_000_000_000
UNQUOTED = re.compile(r"[a-z.]+\[[^\[\],\"\\]+(,[a-z0-9]+)?\]")
texts = st.text(max_size=40) | st.sampled_from(HOSTILE)


def identity(name="shop.orders", kind="counter", unit="", **attributes):
    frozen = tuple((k.replace("__", "."), v) for k, v in sorted(attributes.items()))
    return Identities().of(Series(name, kind, unit, frozen))


def test_the_values_of_a_batch_are_the_golden_ones():
    values = ZabbixValues()
    encoded = values.encode(sample_batch(START))
    told = found(values.seen, START)
    lines = [
        f"{value.key} {value.time_unix_ns} {value.value}\n"
        for value in (*told, *encoded.values)
    ]

    assert GOLDEN.read_text("utf-8") == "".join(lines)


@pytest.mark.parametrize(
    "made, key",
    [
        (identity(plan="pro"), "probekit.counter[shop.orders;plan=pro]"),
        (identity(kind="gauge"), "probekit.gauge[shop.orders]"),
        (identity(kind="up_down_counter"), "probekit.gauge[shop.orders]"),
        (
            identity(
                "probekit.function.duration", "histogram", code__function__name="shop.f"
            ),
            "probekit.function[shop.f]",
        ),
        (
            identity(
                "probekit.function.duration",
                "histogram",
                code__function__name="shop.f",
                error__type="ValueError",
                team="billing",
            ),
            "probekit.error[shop.f ValueError;team=billing]",
        ),
        (
            identity(
                "http.server.request.duration",
                "histogram",
                http__request__method="GET",
                http__route="/o/{id}",
                http__response__status_code=500,
                error__type="500",
                url__scheme="http",
            ),
            "probekit.route[GET /o/{id} 500]",
        ),
    ],
)
def test_a_series_feeds_the_item_that_people_expect(made, key):
    assert key == made.key()


def test_two_series_never_share_a_key():
    identities = Identities()
    twins = [
        Series("a b", "counter", "", (("k", text),))
        for text in ("x,y", 'x"y', "x[y", "x;y", "x=y", "x\ny", "x_y")
    ]
    keys = {identities.of(series).key() for series in twins}

    assert len(twins) == len(keys)
    assert keys == {identities.of(series).key() for series in twins}


@settings(max_examples=60)
@given(texts, st.dictionaries(texts, texts, max_size=3))
def test_no_word_of_a_user_needs_quoting_or_becomes_a_macro(name, attributes):
    series = Series(name, "counter", "", tuple(sorted(attributes.items())))
    made = Identities().of(series)

    assert UNQUOTED.fullmatch(made.key())
    assert len(made.text) <= 200
    assert made.text == made.text.strip()
    for _, text in (("", made.text), *made.macros):
        assert not re.search(r"\{[#$?A-Z]", text)


@settings(max_examples=60)
@given(texts, texts)
def test_a_request_holds_as_many_values_as_were_made(name, value):
    batch = sample_batch(START)
    point = Point(Series(name, "gauge", "", ((name or "k", value),)), 1.5)
    batch = Batch(
        batch.buffer_id,
        batch.resource,
        (Window(1, START, START + 1, (point,)),),
        events=batch.events,
    )
    values = ZabbixValues().encode(batch).values
    frame = request("h1", values)
    body = json.loads(frame[13:])

    assert len(frame) - 13 == body_bytes_of(frame)
    assert [v.key for v in values] == [sent["key"] for sent in body["data"]]
    assert 3 == len(body["data"])


def body_bytes_of(frame):
    return int.from_bytes(frame[5:9], "little")


def test_values_of_one_moment_are_kept_apart_and_repeated_as_they_were():
    twin = (Series("a", "gauge"), Series("a", "gauge", "", (("k", "v"),)))
    points = [Point(series, 1.0, series_id=n) for n, series in enumerate(twin, 1)]
    batch = Batch("0" * 32, Resource(), (Window(1, START, START + 10**10, points),))
    first, second = ZabbixValues().encode(batch), ZabbixValues().encode(batch)

    assert first.values == second.values
    assert 2 == len({value.time_unix_ns for value in first.values})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.75e308])
def test_a_number_that_zabbix_would_drop_is_refused(value):
    point = Point(Series("a", "gauge"), value)
    batch = Batch("0" * 32, Resource(), (Window(1, START, START + 1, (point,)),))
    with pytest.raises(Rejected):
        ZabbixValues().encode(batch)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"response":"failed","info":"cannot parse"}',
        b'{"response":"success","info":"fine"}',
        b'{"response":"failed","info":"processed: 1; failed: 0; total: 1"}',
        b"\xff",
    ],
)
def test_an_answer_without_numbers_is_none(body):
    with pytest.raises(RetryLater):
        outcome(body)


@pytest.mark.parametrize(
    "header",
    [
        b"HTTP/1.1 400 ",
        b"ZBXD\x03\x01\0\0\0\0\0\0\0",
        b"ZBXD\x01\xff\xff\xff\x0f\0\0\0\0",
    ],
)
def test_a_stranger_is_not_believed(header):
    with pytest.raises(RetryLater):
        body_bytes(header)


def test_the_template_has_an_item_for_every_key():
    entry = template()["zabbix_export"]["templates"][0]
    has = {item["key"] for item in entry["items"]}
    for rule in entry["discovery_rules"]:
        has |= {rule["key"]} | {made["key"] for made in rule["item_prototypes"]}
    values = ZabbixValues()
    encoded = values.encode(sample_batch(START))
    wanted = {value.key for value in found(values.seen, START)}
    for value in encoded.values:
        made = encoded.identities.get(value.record)
        text = made.text if made else "-"
        wanted.add(value.key.replace(f"[{text}", "[{#SERIES}"))

    assert set() == wanted - has
    assert {f"probekit.route[{{#SERIES}},{figure}]" for figure in FIGURES} < has


def test_every_identifier_of_the_template_is_one_of_its_own():
    text = json.dumps(template())
    uuids = re.findall(r'"uuid": "([0-9a-f]+)"', text)

    assert len(uuids) == len(set(uuids))
    assert all(
        re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", u) for u in uuids
    )
    assert text == json.dumps(template())
    assert not set(uuids) & set(
        re.findall(r'"uuid": "([0-9a-f]+)"', json.dumps(template("other"))[200:])
    )
