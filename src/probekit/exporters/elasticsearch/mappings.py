"""The data streams, and the index templates that say how their fields are stored.

Names and attributes are keywords, so dashboards can group by them. Elasticsearch from
8.3 on is told that dots in attributes' keys are only dots: ``error`` and ``error.type``
may then stand side by side.
"""

from probekit.model import Signal

VERSION = 1
PRIORITY = 300  # above those that Elasticsearch brings for metrics-*-* and logs-*-*
TYPES: "dict[Signal, str]" = {"metrics": "metrics", "events": "logs", "spans": "traces"}
_KEYWORD = {"type": "keyword", "ignore_above": 8191}
_TEXT = {
    "type": "text",
    "fields": {"keyword": {"type": "keyword", "ignore_above": 256}},
}
_DOUBLE = {"type": "double"}
_FIGURES = ("value", "total", "sum", "min", "max", "p50", "p90", "p95", "p99")
# Servers guess these of JSON; an object between two dots is none of them.
_GUESSES = ("string", "boolean", "long", "double")
_COMMON = ("service", "host", "name")
_FIELDS: "dict[Signal, dict[str, object]]" = {
    "metrics": {
        "start": {"type": "date_nanos"},
        "window": {"type": "long"},
        "kind": _KEYWORD,
        "unit": _KEYWORD,
        **dict.fromkeys(_FIGURES, _DOUBLE),
        "count": {"type": "long"},
    },
    "events": {
        "message": _TEXT,
        "severity": _KEYWORD,
        "severity_number": {"type": "byte"},
        "trace_id": _KEYWORD,
        "span_id": _KEYWORD,
    },
    "spans": {
        "end": {"type": "date_nanos"},
        "kind": _KEYWORD,
        "status": _KEYWORD,
        "status_message": _TEXT,
        "trace_id": _KEYWORD,
        "span_id": _KEYWORD,
        "parent_span_id": _KEYWORD,
        "duration_s": {"type": "double"},
        "events": {"type": "object", "enabled": False},
        "links": {"type": "object", "enabled": False},
    },
}


def stream_of(signal: Signal, dataset: str, namespace: str) -> str:
    """The data stream of *signal*.

    Example:
        >>> stream_of("events", "probekit", "default")
        'logs-probekit-default'

    """
    return f"{TYPES[signal]}-{dataset}-{namespace}"


def template_of(
    signal: Signal, dataset: str, *, dots_are_dots: bool, data_streams: bool = True
) -> "dict[str, object]":
    """The index template of *signal*'s data streams.

    Args:
        signal: Which.
        dataset: The middle part of their names.
        dots_are_dots: Whether the server knows ``subobjects``.
        data_streams: False for plain indices of the same names.

    """
    attributes: dict[str, object] = {"type": "object", "dynamic": True}
    if dots_are_dots:
        attributes["subobjects"] = False
    return {
        "index_patterns": [f"{TYPES[signal]}-{dataset}-*"],
        **({"data_stream": {}} if data_streams else {}),
        "priority": PRIORITY,
        "version": VERSION,
        "_meta": {"managed_by": "probekit"},
        "template": {
            "mappings": {
                "dynamic": False,
                "dynamic_templates": [
                    {
                        f"attributes_{guess}": {
                            "path_match": "attributes.*",
                            "match_mapping_type": guess,
                            "mapping": _KEYWORD,
                        }
                    }
                    for guess in _GUESSES
                ],
                "properties": {
                    "@timestamp": {"type": "date_nanos"},
                    **dict.fromkeys(_COMMON, _KEYWORD),
                    "attributes": attributes,
                    **_FIELDS[signal],
                },
            }
        },
    }
