"""The fields of OTLP's messages as data, for the JSON form; pure.

Only what our encoder writes. A kind is a scalar's or a message's name; ``[]`` behind
it says that the field repeats.
"""

from collections.abc import Mapping

Fields = Mapping[int, tuple[str, str]]

MESSAGES: "Mapping[str, Fields]" = {
    "metrics": {1: ("resourceMetrics", "ResourceMetrics[]")},
    "logs": {1: ("resourceLogs", "ResourceLogs[]")},
    "traces": {1: ("resourceSpans", "ResourceSpans[]")},
    "ResourceMetrics": {
        1: ("resource", "Resource"),
        2: ("scopeMetrics", "ScopeMetrics[]"),
    },
    "ResourceLogs": {1: ("resource", "Resource"), 2: ("scopeLogs", "ScopeLogs[]")},
    "ResourceSpans": {1: ("resource", "Resource"), 2: ("scopeSpans", "ScopeSpans[]")},
    "Resource": {1: ("attributes", "KeyValue[]")},
    "ScopeMetrics": {1: ("scope", "Scope"), 2: ("metrics", "Metric[]")},
    "ScopeLogs": {1: ("scope", "Scope"), 2: ("logRecords", "LogRecord[]")},
    "ScopeSpans": {1: ("scope", "Scope"), 2: ("spans", "Span[]")},
    "Scope": {1: ("name", "text"), 2: ("version", "text")},
    "KeyValue": {1: ("key", "text"), 2: ("value", "AnyValue")},
    "AnyValue": {
        1: ("stringValue", "text"),
        2: ("boolValue", "bool"),
        3: ("intValue", "int64"),
        4: ("doubleValue", "double"),
        5: ("arrayValue", "ArrayValue"),
        7: ("bytesValue", "bytes"),
    },
    "ArrayValue": {1: ("values", "AnyValue[]")},
    "Metric": {
        1: ("name", "text"),
        2: ("description", "text"),
        3: ("unit", "text"),
        5: ("gauge", "Gauge"),
        7: ("sum", "Sum"),
        9: ("histogram", "Histogram"),
    },
    "Gauge": {1: ("dataPoints", "NumberDataPoint[]")},
    "Sum": {
        1: ("dataPoints", "NumberDataPoint[]"),
        2: ("aggregationTemporality", "enum"),
        3: ("isMonotonic", "bool"),
    },
    "Histogram": {
        1: ("dataPoints", "HistogramDataPoint[]"),
        2: ("aggregationTemporality", "enum"),
    },
    "NumberDataPoint": {
        2: ("startTimeUnixNano", "uint64"),
        3: ("timeUnixNano", "uint64"),
        4: ("asDouble", "double"),
        7: ("attributes", "KeyValue[]"),
    },
    "HistogramDataPoint": {
        2: ("startTimeUnixNano", "uint64"),
        3: ("timeUnixNano", "uint64"),
        4: ("count", "count"),
        5: ("sum", "double"),
        6: ("bucketCounts", "packed count"),
        7: ("explicitBounds", "packed double"),
        8: ("exemplars", "Exemplar[]"),
        9: ("attributes", "KeyValue[]"),
        11: ("min", "double"),
        12: ("max", "double"),
    },
    "Exemplar": {
        2: ("timeUnixNano", "uint64"),
        3: ("asDouble", "double"),
        4: ("spanId", "hex"),
        5: ("traceId", "hex"),
    },
    "LogRecord": {
        1: ("timeUnixNano", "uint64"),
        2: ("severityNumber", "enum"),
        3: ("severityText", "text"),
        5: ("body", "AnyValue"),
        6: ("attributes", "KeyValue[]"),
        9: ("traceId", "hex"),
        10: ("spanId", "hex"),
        11: ("observedTimeUnixNano", "uint64"),
        12: ("eventName", "text"),
    },
    "Span": {
        1: ("traceId", "hex"),
        2: ("spanId", "hex"),
        3: ("traceState", "text"),
        4: ("parentSpanId", "hex"),
        5: ("name", "text"),
        6: ("kind", "enum"),
        7: ("startTimeUnixNano", "uint64"),
        8: ("endTimeUnixNano", "uint64"),
        9: ("attributes", "KeyValue[]"),
        11: ("events", "SpanEvent[]"),
        13: ("links", "SpanLink[]"),
        15: ("status", "Status"),
        16: ("flags", "enum"),
    },
    "SpanEvent": {
        1: ("timeUnixNano", "uint64"),
        2: ("name", "text"),
        3: ("attributes", "KeyValue[]"),
    },
    "SpanLink": {
        1: ("traceId", "hex"),
        2: ("spanId", "hex"),
        3: ("traceState", "text"),
        4: ("attributes", "KeyValue[]"),
    },
    "Status": {2: ("message", "text"), 3: ("code", "enum")},
}
