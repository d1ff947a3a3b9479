"""The tables as the OpenTelemetry collector's ClickHouse exporter makes them.

Names, types and order are its own, so that its dashboards and queries work. One thing
is ours: the tables remember the tokens of the last inserts, so that a repeated one is
not stored again (replicated tables always do).
"""

REMEMBERED_INSERTS = 1000
_MAP = "Map(LowCardinality(String), String)"
_WORD = "LowCardinality(String)"
_TIME = "DateTime64(9)"
_EXEMPLARS = (
    f"Exemplars Nested (FilteredAttributes {_MAP}, TimeUnix {_TIME}, Value Float64, "
    "SpanId String, TraceId String)"
)
_METRICS = (
    f"ResourceAttributes {_MAP}, ResourceSchemaUrl String, ScopeName String, "
    f"ScopeVersion String, ScopeAttributes {_MAP}, ScopeDroppedAttrCount UInt32, "
    f"ScopeSchemaUrl String, ServiceName {_WORD}, MetricName String, "
    f"MetricDescription String, MetricUnit String, Attributes {_MAP}, "
    f"StartTimeUnix {_TIME}, TimeUnix {_TIME}"
)
_METRICS_ORDER = (
    "toDate(TimeUnix)",
    "(ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))",
)
# Table → (columns, what it is partitioned by, order).
TABLES: "dict[str, tuple[str, str, str]]" = {
    "otel_metrics_gauge": (
        f"{_METRICS}, Value Float64, Flags UInt32, {_EXEMPLARS}",
        *_METRICS_ORDER,
    ),
    "otel_metrics_sum": (
        (
            f"{_METRICS}, Value Float64, Flags UInt32, {_EXEMPLARS}, "
            "AggregationTemporality Int32, IsMonotonic Boolean"
        ),
        *_METRICS_ORDER,
    ),
    "otel_metrics_histogram": (
        (
            f"{_METRICS}, Count UInt64, Sum Float64, BucketCounts Array(UInt64), "
            f"ExplicitBounds Array(Float64), {_EXEMPLARS}, Flags UInt32, Min Float64, "
            "Max Float64, AggregationTemporality Int32"
        ),
        *_METRICS_ORDER,
    ),
    "otel_logs": (
        (
            f"Timestamp {_TIME}, TimestampTime DateTime DEFAULT toDateTime(Timestamp), "
            "TraceId String, SpanId String, TraceFlags UInt8, "
            f"SeverityText {_WORD}, SeverityNumber UInt8, ServiceName {_WORD}, "
            f"Body String, ResourceSchemaUrl {_WORD}, ResourceAttributes {_MAP}, "
            f"ScopeSchemaUrl {_WORD}, ScopeName String, ScopeVersion {_WORD}, "
            f"ScopeAttributes {_MAP}, LogAttributes {_MAP}"
        ),
        "toDate(TimestampTime)",
        "(ServiceName, TimestampTime, Timestamp)",
    ),
    "otel_traces": (
        (
            f"Timestamp {_TIME}, TraceId String, SpanId String, ParentSpanId String, "
            f"TraceState String, SpanName {_WORD}, SpanKind {_WORD}, "
            f"ServiceName {_WORD}, ResourceAttributes {_MAP}, ScopeName String, "
            f"ScopeVersion String, SpanAttributes {_MAP}, Duration UInt64, "
            f"StatusCode {_WORD}, StatusMessage String, "
            f"Events Nested (Timestamp {_TIME}, Name {_WORD}, Attributes {_MAP}), "
            "Links Nested (TraceId String, SpanId String, TraceState String, "
            f"Attributes {_MAP})"
        ),
        "toDate(Timestamp)",
        "(ServiceName, SpanName, toDateTime(Timestamp))",
    ),
}
_TIMES = {"otel_logs": "TimestampTime", "otel_traces": "toDateTime(Timestamp)"}


def statement_of(table: str, database: str, retention_days: int = 0) -> str:
    """The statement that makes *table* where there is none.

    Args:
        table: A key of :data:`TABLES`.
        database: A name of letters, digits and underscores.
        retention_days: ClickHouse deletes what is older; 0 keeps all.

    """
    columns, partition, order = TABLES[table]
    time = _TIMES.get(table, "toDateTime(TimeUnix)")
    kept = f" TTL {time} + toIntervalDay({retention_days})" if retention_days else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {database}.{table} ({columns}) "
        f"ENGINE = MergeTree PARTITION BY {partition} ORDER BY {order}{kept} "
        "SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, "
        f"non_replicated_deduplication_window = {REMEMBERED_INSERTS}"
    )
