"""Frames of the Zabbix sender protocol and what the server answers; pure.

A frame is ``ZBXD``, a byte of flags, the body's length and a reserved word, both 32
bits little-endian, and a JSON body. The answer has the same form and says how many
values were processed and how many failed; never which, and never "failed" as a whole.
"""

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from probekit.errors import RetryLater

HEADER_BYTES = 13
ANSWER_LIMIT_BYTES = 64 * 1024
_MAGIC, _PLAIN = b"ZBXD", 1
_HEADER = struct.Struct("<4sBII")
_COUNTS = re.compile(r"processed: (\d+); failed: (\d+); total: (\d+)")
_SHOWN = 200
_NS = 10**9
_quoted = json.encoder.encode_basestring_ascii


@dataclass(frozen=True, slots=True)
class Value:
    """One value for one item.

    Attributes:
        key: The item's key, parameters included.
        value: Text.
        time_unix_ns: When; an item stores one value for a moment, the first.
        record: Position of the record in its batch that the value belongs to.
    """

    key: str
    value: str
    time_unix_ns: int
    record: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a server says about one request."""

    processed: int
    failed: int
    total: int
    words: str = ""


def request(host: str, values: "Sequence[Value]") -> bytes:
    """A "sender data" request as it goes over the wire.

    Args:
        host: The host's technical name in Zabbix.
        values: Each with its own clock and nanoseconds: without those, two values of
            one second replace each other.

    """
    head = f'{{"host":{_quoted(host)},"key":'
    data = ",".join(
        [
            f'{head}{_quoted(value.key)},"value":{_quoted(value.value)},'
            f'"clock":{value.time_unix_ns // _NS},"ns":{value.time_unix_ns % _NS}}}'
            for value in values
        ]
    )
    return frame(f'{{"request":"sender data","data":[{data}]}}'.encode("ascii"))


def frame(body: bytes) -> bytes:
    r"""*body* with its header.

    Example:
        >>> frame(b"{}")
        b'ZBXD\x01\x02\x00\x00\x00\x00\x00\x00\x00{}'

    """
    return _HEADER.pack(_MAGIC, _PLAIN, len(body), 0) + body


def body_bytes(header: bytes) -> int:
    """The length of the body that *header* announces.

    Raises:
        RetryLater: It is no header of a plain frame, or announces too much.

    """
    magic, flags, length, _ = _HEADER.unpack(header)
    if magic != _MAGIC or flags != _PLAIN or length > ANSWER_LIMIT_BYTES:
        raise RetryLater(f"no answer of a Zabbix trapper: {header!r}")
    return int(length)


def outcome(body: bytes) -> Outcome:
    """What the answer's body says.

    Raises:
        RetryLater: It says "failed", or does not say how many values were taken.

    """
    try:
        said = json.loads(body)
        info = str(said["info"])
        response = said["response"]
    except (ValueError, TypeError, KeyError):
        raise RetryLater(f"no answer of a Zabbix trapper: {body[:60]!r}") from None
    words = "".join(c if c.isprintable() else " " for c in info)[:_SHOWN]
    counts = _COUNTS.search(info)
    if response != "success" or counts is None:
        raise RetryLater(f"Zabbix says {str(response)[:20]!r}: {words}")
    processed, failed, total = map(int, counts.groups())
    return Outcome(processed, failed, total, words)
