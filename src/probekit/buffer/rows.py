"""What events and spans are in rows of SQLite: readable JSON; pure."""

import json
import math
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, TypeAlias

from probekit.buffer.records import dump, links_row, moments_row, span_row
from probekit.model import Attributes, Event, FrozenAttributes, Span

Facts: TypeAlias = "tuple[str | int, ...]"


def event_facts(event: Event) -> Facts:
    """All columns of an event but number, window and checksum."""
    at, level = event.time_unix_ns, int(event.severity)
    name, body = sql_text(event.name), sql_text(event.body)
    attributes = sql_json(event.attributes)
    trace_id, span_id = sql_text(event.trace_id), sql_text(event.span_id)
    return at, name, level, body, attributes, trace_id, span_id


def span_facts(span: Span) -> Facts:
    """All columns of a span but number, window and checksum."""
    attributes, is_exact = _json(span.attributes)
    record = _record(span, attributes if is_exact else dump(dict(span.attributes)))
    return (
        sql_text(span.trace_id),
        sql_text(span.span_id),
        sql_text(span.parent_span_id),
        sql_text(span.name),
        span.start_unix_ns,
        span.end_unix_ns,
        span.status,
        attributes,
        record,
    )


def _record(span: Span, attributes: str) -> str:
    """As ``dump(span_row(span))``; the attributes are JSON already."""
    s = span
    try:
        head = f"{s.kind:d},{s.start_unix_ns:d},{s.end_unix_ns:d}"
        texts = map(quoted, (s.trace_id, s.span_id, s.parent_span_id, s.name))
        moments = dump(moments_row(s)) if s.events else "[]"
        links = dump(links_row(s)) if s.links else "[]"
        tail = f"{quoted(s.status_message)},{quoted(s.trace_state)},{s.flags:d}"
        return (
            f"[{','.join(texts)},{head},{attributes},{moments},{links},"
            f"{s.status:d},{tail},{quoted(s.scope)}]"
        )
    except (TypeError, ValueError):  # a stranger's span: not of the types it says
        return dump(span_row(span))


def sql_json(attributes: "Attributes | FrozenAttributes") -> str:
    """Attributes as JSON for SQL: readable text, strict numbers, keys in order.

    Numbers that JSON has no form for become the texts ``NaN``, ``Infinity``,
    ``-Infinity``; halves of surrogate pairs stay escaped.
    """
    return _json(attributes)[0]


def _json(attributes: "Attributes | FrozenAttributes") -> "tuple[str, bool]":
    """The text, and whether JSON gives back what went in."""
    value = attributes if type(attributes) is dict else dict(attributes)
    try:
        text = _READABLE.encode(value)
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        return _ESCAPED.encode(_finite(value)), True
    except (ValueError, TypeError):
        return _ESCAPED.encode(_finite(value)), False
    return text, True


def _foreign(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return f"<{type(value).__name__}>"


_OPTIONS: "dict[str, Any]" = {
    "separators": (", ", ": "),
    "skipkeys": True,
    "default": _foreign,
    "sort_keys": True,
}
_READABLE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, **_OPTIONS)
_ESCAPED = json.JSONEncoder(**_OPTIONS)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def sql_text(text: str) -> str:
    """Text that SQLite takes: halves of surrogate pairs become question marks."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
