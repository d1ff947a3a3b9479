r"""DogStatsD's events and service checks; pure.

- An event is ``_e{title,text}:NAME|TEXT|d:TIME|h:HOST|t:error|#tags``. Its text is its
  body, else its stack trace; attributes are tags. The text is cut so that the datagram
  holds the event.
- An event with the attribute ``check.status`` (``ok``, ``warning``, ``critical``,
  ``unknown``) is a service check: ``_sc|NAME|STATUS|d:TIME|h:HOST|#tags|m:TEXT``.
"""

import re

from probekit.exporters.naming import Naming
from probekit.exporters.text import host_of, word
from probekit.model import SEVERITY_ERROR, SEVERITY_WARN, AttributeValue, Batch, Event

CHECK_STATUS = "check.status"
STATUSES = {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}
LONGEST_EVENT_BYTES = 8000  # Datadog's agent takes 8 kB
LONGEST_TITLE = 100  # characters, as Datadog shows them
_NS_PER_S = 10**9
_STACK = "exception.stacktrace"
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
TAG_KEY = Naming(re.compile(rf"[\s,|:;=#@{_CONTROL}]+"))
TAG_VALUE = Naming(re.compile(rf"[,|{_CONTROL}]+"))
_SHORT_VALUE = Naming(TAG_VALUE.forbidden, limit=200)
_NAME = Naming(re.compile(rf"[|{_CONTROL}]+"), limit=LONGEST_TITLE)
_NOT_TEXT = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def event_lines(batch: Batch, limit_bytes: int, prefix: str = "") -> "list[str]":
    """One line for each event of *batch*.

    Args:
        batch: Only its events are looked at; its resource is the ``service`` tag.
        limit_bytes: Texts are cut so that lines are no longer, where they can be.
        prefix: Put before every name.

    """
    host = _SHORT_VALUE.of(host_of(batch.resource) or "unknown")
    service = ("service", batch.resource.service)
    return [
        _line(event, (service, *event.attributes.items()), host, prefix, limit_bytes)
        for event in batch.events
    ]


def _line(
    event: Event,
    attributes: "tuple[tuple[str, AttributeValue], ...]",
    host: str,
    prefix: str,
    limit_bytes: int,
) -> str:
    status = STATUSES.get(word(event.attributes.get(CHECK_STATUS, "")))
    tags = ",".join(
        f"{TAG_KEY.of(key)}:{_SHORT_VALUE.of(word(value))}"
        for key, value in attributes
        if key != _STACK and (status is None or key != CHECK_STATUS)
    )
    name = prefix + _NAME.of(event.name)
    text = event.body or word(event.attributes.get(_STACK, "")) or event.name
    text = _NOT_TEXT.sub(" ", text).replace("\n", "\\n")
    time_and_host = f"|d:{event.time_unix_ns // _NS_PER_S}|h:{host}"
    if status is not None:
        frame = f"_sc|{name}|{status}{time_and_host}|#{tags}|m:"
        # "m:" begins the message, so it may not stand in it; nor may a pipe.
        text = text.replace("|", "/").replace("m:", "m\\:")
        return frame + _cut(text, limit_bytes - len(frame.encode()))
    ending = f"{time_and_host}|t:{_alert(event.severity)}|#{tags}"
    size = len(name.encode())
    used = len(f"_e{{{size},99999}}:{name}|{ending}".encode())
    text = _cut(text, limit_bytes - used)
    return f"_e{{{size},{len(text.encode())}}}:{name}|{text}{ending}"


def _cut(text: str, limit_bytes: int) -> str:
    """*text* in at most *limit_bytes*, at least one; not within an escape."""
    cut = text.encode()[: max(limit_bytes, 1)].decode("utf-8", "ignore")
    return cut if len(cut) == len(text) else cut.rstrip("\\") or "-"


def _alert(severity: int) -> str:
    if severity >= SEVERITY_ERROR:
        return "error"
    return "warning" if severity >= SEVERITY_WARN else "info"
