"""A reader of DogStatsD datagrams, strict where Datadog's agent is."""

import re
from typing import NamedTuple


class Metric(NamedTuple):
    name: str
    values: tuple
    type: str
    rate: float
    tags: tuple


class Happened(NamedTuple):
    title: str
    text: str
    fields: dict
    tags: tuple


class Check(NamedTuple):
    name: str
    status: int
    fields: dict
    tags: tuple
    message: str


METRIC = re.compile(
    r"([^:|@#]+):([-+0-9.e:]+)\|(c|g|ms|h|d|s)(?:\|@([0-9.]+))?(?:\|#([^|]*))?"
)
CHECK = re.compile(
    r"_sc\|([^|]+)\|([0-3])((?:\|[dh]:[^|]*)*)(?:\|#([^|]*))?(?:\|m:([^|]*))?"
)


def parse(datagram):
    """Everything in one datagram, in order; AssertionError for what is malformed."""
    return [_parse_line(line) for line in datagram.decode().split("\n") if line]


def _parse_line(line):
    if line.startswith("_e{"):
        return _event(line)
    if line.startswith("_sc|"):
        found = CHECK.fullmatch(line)
        assert found, line
        name, status, fields, tags, message = found.groups()
        told = dict(part.split(":", 1) for part in fields.split("|")[1:])
        return Check(name, int(status), told, _tags(tags), message or "")
    found = METRIC.fullmatch(line)
    assert found, line
    name, values, type_, rate, tags = found.groups()
    numbers = tuple(float(value) for value in values.split(":"))
    return Metric(name, numbers, type_, float(rate or 1), _tags(tags))


def _event(line):
    head = re.match(r"_e\{(\d+),(\d+)\}:", line)
    assert head, line
    rest = line[head.end() :].encode()
    title, text = int(head[1]), int(head[2])
    assert title > 0
    assert text > 0
    assert b"|" == rest[title : title + 1]
    after = rest[title + 1 + text :].decode()
    assert re.fullmatch(r"(\|[dhpkts]:[^|]*)*(\|#[^|]*)?", after), after
    fields, _, tags = after.partition("|#")
    told = dict(part.split(":", 1) for part in fields.split("|")[1:])
    body = rest[title + 1 : title + 1 + text].decode().replace("\\n", "\n")
    return Happened(rest[:title].decode(), body, told, _tags(tags))


def _tags(text):
    return tuple(text.split(",")) if text else ()
