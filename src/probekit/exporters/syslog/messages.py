r"""Syslog messages after RFC 5424; pure.

``<PRI>1 TIME HOST SERVICE PID NAME [probekit@32473 key="value" …] TEXT``

The attributes are structured data, the text is the event's body, else its name; line
ends and other characters that cannot be printed are escaped (``\n``), so a message is
one line to every receiver. Metrics, where they are wanted, are messages whose text is
a JSON line.
"""

import re

from probekit.exporters.jsonlines import JsonLines
from probekit.exporters.naming import Naming
from probekit.exporters.text import host_of, rfc3339, visible, word
from probekit.model import AttributeValue, Batch, Event

# The private number that RFC 5612 sets aside for documentation; we own none.
STRUCTURED_ID = "probekit@32473"
FACILITIES = {
    name: number
    for number, name in enumerate(
        (
            *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news"),
            *("uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock"),
            *(f"local{number}" for number in range(8)),
        )
    )
}
_INFO = 6
# From OpenTelemetry's, in steps of four: trace, debug, info, warn, error, fatal.
_SEVERITIES = (7, 7, 6, 4, 3, 2)
_NOT_PRINTABLE_ASCII = r"[^\x21-\x7e]+"
_HOST = Naming(re.compile(_NOT_PRINTABLE_ASCII), limit=255)
_APP = Naming(re.compile(_NOT_PRINTABLE_ASCII), limit=48)
_PROCESS = Naming(re.compile(_NOT_PRINTABLE_ASCII), limit=128)
_MESSAGE_ID = Naming(re.compile(_NOT_PRINTABLE_ASCII), limit=32)
_PARAMETER = Naming(re.compile(r'[^\x21-\x7e]+|["=\]]+'), limit=32)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "]": "\\]"})
_LONGEST_KEY = 32


class SyslogMessages:
    """Encodes batches.

    Args:
        facility: A name of :data:`FACILITIES`.
        metrics: Whether metrics are sent, too.
    """

    __slots__ = ("_facility", "_lines")

    def __init__(self, *, facility: str = "user", metrics: bool = False) -> None:
        """Keep the settings."""
        self._facility = FACILITIES[facility] * 8
        self._lines = JsonLines() if metrics else None

    def messages(self, batch: Batch) -> "list[bytes]":
        """One message for each event, then one for each point; without frames."""
        attributes = batch.resource.attributes
        host = _HOST.of(host_of(batch.resource)) if host_of(batch.resource) else "-"
        process = word(attributes.get("process.pid", "")) or "-"
        who = f"{host} {_APP.of(batch.resource.service)} {_PROCESS.of(process)}"
        found = [self._event(event, who) for event in batch.events]
        if self._lines is not None:
            found += self._metrics(batch, who, self._lines)
        return [message.encode("utf-8", "replace") for message in found]

    def _event(self, event: Event, who: str) -> str:
        priority = self._facility + _severity(event.severity)
        time = rfc3339(event.time_unix_ns // 1000 * 1000)[:-4] + "Z"
        own = (("trace_id", event.trace_id), ("span_id", event.span_id))
        pairs = [*event.attributes.items(), *(pair for pair in own if pair[1])]
        text = visible(event.body or event.name)
        return (
            f"<{priority}>1 {time} {who} {_MESSAGE_ID.of(event.name)} "
            f"{_structured(pairs)} {text}"
        )

    def _metrics(self, batch: Batch, who: str, lines: JsonLines) -> "list[str]":
        found = []
        for window in batch.windows:
            one = Batch(batch.buffer_id, batch.resource, (window,))
            time = rfc3339(window.end_unix_ns)[:-4] + "Z"
            head = f"<{self._facility + _INFO}>1 {time} {who} metric - "
            found += [head + line.decode("ascii") for line in lines.lines(one)]
        return found


def framed(messages: "list[bytes]") -> bytes:
    """Messages for a stream, each with its length before it (RFC 6587, RFC 5425).

    Example:
        >>> framed([b"abc", b"d"])
        b'3 abc1 d'

    """
    return b"".join(b"%d %s" % (len(message), message) for message in messages)


def as_lines(messages: "list[bytes]") -> bytes:
    r"""Messages for a stream that is read by lines; none holds a line end itself.

    Example:
        >>> as_lines([b"abc", b"d"])
        b'abc\nd\n'

    """
    return b"".join(message + b"\n" for message in messages)


def _structured(pairs: "list[tuple[str, AttributeValue]]") -> str:
    if not pairs:
        return "-"
    names: set[str] = set()
    found = [STRUCTURED_ID]
    for key, value in pairs:
        name = _PARAMETER.of(key)
        step = 2
        while name in names:
            tail = f"_{step}"
            name = _PARAMETER.of(key)[: _LONGEST_KEY - len(tail)] + tail
            step += 1
        names.add(name)
        found.append(f'{name}="{visible(word(value)).translate(_ESCAPES)}"')
    return f"[{' '.join(found)}]"


def _severity(severity: int) -> int:
    step = (severity - 1) // 4
    return _SEVERITIES[step] if 0 <= step < len(_SEVERITIES) else _INFO
