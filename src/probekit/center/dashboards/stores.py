"""The questions in the language of each store that Grafana reads; pure.

A store's entry says which Grafana plugin reads it, how one question becomes the target
of a panel, and which metric the variable ``metric`` begins with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from probekit.center.dashboards.questions import BUSINESS, Question
from probekit.exporters.prometheus.naming import label_name, metric_name
from probekit.model import Series

Target: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Store:
    """How Grafana asks one kind of store.

    Attributes:
        plugin: The data source's type.
        ask: A question → what the panel's target holds.
        metric: Default of the variable ``metric``.
        needs: What the exporter's URL must say for the queries to fit; may be empty.
    """

    plugin: str
    ask: "Callable[[Question], Target]"
    metric: str = "shop.orders"
    needs: str = ""


def _prometheus(question: Question) -> Target:
    name, by = _exposed(question), label_name(question.by) if question.by else ""
    wanted = ['job=~"$service"', *(['error_type!=""'] if question.failed else [])]
    match = "{" + ",".join(wanted) + "}"
    group = f"sum by ({by})" if by else "sum"

    def rate(suffix: str, keep: str = "") -> str:
        labels = ", ".join(filter(None, (keep, by)))
        total = f"sum by ({labels})" if labels else "sum"
        return f"{total} (rate({name}{suffix}{match}[$__rate_interval]))"

    if question.ask == "p95":
        expression = f"histogram_quantile(0.95, {rate('_bucket', 'le')})"
    elif question.ask == "mean":
        expression = f"{rate('_sum')} / {rate('_count')}"
    elif question.ask == "rate":
        expression = rate("_count" if question.kind == "histogram" else "")
    else:
        how = "avg" if question.kind == "gauge" else "sum"
        expression = f"{group.replace('sum', how)} ({name}{match})"
    return {
        "expr": expression,
        "legendFormat": f"{{{{{by}}}}}" if by else question.title,
        "range": True,
        "editorMode": "code",
    }


def _exposed(question: Question) -> str:
    if question.metric == BUSINESS:
        return BUSINESS
    name = metric_name(Series(question.metric, question.kind, question.unit))[0]
    return f"{name}_total" if question.kind == "counter" else name


def _influxdb(question: Question) -> Target:
    seconds = "($__interval_ms / 1000)"
    value = {
        "rate": f'sum("{_windowed(question)}") / {seconds}',
        "level": 'mean("value")',
        "mean": 'sum("sum") / sum("count")',
        "p95": 'max("p95")',  # of the windows within a step: the worst one
    }[question.ask]
    if _is_total(question):
        value = 'cumulative_sum(sum("value"))'
    where = '"service" =~ /^$service$/ AND $timeFilter'
    if question.failed:
        where += " AND \"error.type\" != ''"
    by = f', "{question.by}"' if question.by else ""
    query = (
        f'SELECT {value} FROM "{question.metric}" WHERE {where} '
        f"GROUP BY time($__interval){by} fill(null)"
    )
    return {
        "query": query,
        "rawQuery": True,
        "resultFormat": "time_series",
        "alias": f"$tag_{question.by}" if question.by else question.title,
    }


def _is_total(question: Question) -> bool:
    """Whether a counter's total is asked for.

    A series that rests has no points, so the totals of several cannot be summed in
    each step; what stores of windows can show is the sum since the beginning of the
    time that is shown.
    """
    return question.ask == "level" and question.kind == "counter"


def _windowed(question: Question) -> str:
    return "count" if question.kind == "histogram" else "value"


def _graphite(question: Question) -> Target:
    def series(figure: str) -> str:
        dot = "." if figure else ""
        wanted = [f"name={question.metric}{dot}{figure}", "service=~$service"]
        if question.failed:
            wanted.append("error.type=~.+")
        found = ", ".join(f"'{part}'" for part in wanted)
        by = f"'{question.by}'" if question.by else "'name'"
        how = "max" if figure == "p95" else "sum"
        each = f"seriesByTag({found})"
        if question.ask in {"rate", "mean"}:
            each = f"perSecond({each})"
        elif _is_total(question):  # a series that rests says nothing for a while
            each = f"keepLastValue({each})"
        return f"groupByTags({each}, '{how}', {by})"

    if question.ask == "mean":
        target = f"divideSeriesLists({series('sum')}, {series('count')})"
    elif question.ask == "p95":
        target = series("p95")
    else:
        target = series("count" if question.kind == "histogram" else "")
    return {"target": target, "textEditor": True}


def _opentsdb(question: Question) -> Target:
    figure = {"mean": "p50", "p95": "p95"}.get(question.ask, "")
    if question.ask == "rate" and question.kind == "histogram":
        figure = "count"
    filters = [_tag_filter("service", "$service", "wildcard", group=False)]
    if question.by:
        filters.append(_tag_filter(question.by, "*", "wildcard", group=True))
    if question.failed and question.by != "error.type":
        filters.append(_tag_filter("error.type", "*", "wildcard", group=False))
    return {
        "metric": f"{question.metric}.{figure}" if figure else question.metric,
        "aggregator": "max" if figure in {"p50", "p95"} else "sum",
        "downsampleAggregator": "avg",
        "downsampleFillPolicy": "none",
        "shouldComputeRate": question.ask == "rate",
        "isCounter": question.ask == "rate",
        "counterMax": None,
        "counterResetValue": None,
        "filters": filters,
        "alias": f"$tag_{question.by}" if question.by else question.title,
    }


def _tag_filter(key: str, value: str, how: str, *, group: bool) -> Target:
    return {"tagk": key, "filter": value, "type": how, "groupBy": group}


def _elasticsearch(question: Question) -> Target:
    wanted = [f'name:"{question.metric}"', "service:$service"]
    if question.failed:
        wanted.append("_exists_:attributes.error.type")
    buckets: list[Target] = []
    if question.by:
        terms = {"size": "20", "order": "desc", "orderBy": "_count"}
        where = f"attributes.{question.by}"
        buckets.append({"id": "2", "type": "terms", "field": where, "settings": terms})
    every = {"interval": "auto", "min_doc_count": "0"}
    buckets.append(
        {"id": "3", "type": "date_histogram", "field": "@timestamp", "settings": every}
    )
    return {
        "query": " AND ".join(wanted),
        "metrics": _elasticsearch_metrics(question),
        "bucketAggs": buckets,
        "timeField": "@timestamp",
    }


def _elasticsearch_metrics(question: Question) -> "list[Target]":
    """One figure of each step of time, or a formula over hidden ones."""
    if question.ask == "p95":  # of the windows within a step: the worst one
        return [{"id": "1", "type": "max", "field": "p95"}]
    if question.ask == "mean":
        both = [_hidden("1", "sum"), _hidden("4", "count")]
        return [*both, _formula("params.a / params.b", both)]
    counted = _hidden("1", "count" if question.kind == "histogram" else "value")
    if question.ask == "rate":
        return [counted, _formula("params.a / $__interval_ms * 1000", [counted])]
    if _is_total(question):
        return [counted, {"id": "5", "type": "cumulative_sum", "field": "1"}]
    return [{"id": "1", "type": "avg", "field": "value"}]


def _hidden(identifier: str, field: str) -> Target:
    return {"id": identifier, "type": "sum", "field": field, "hide": True}


def _formula(script: str, inputs: "list[Target]") -> Target:
    variables = [
        {"name": name, "pipelineAgg": held["id"]}
        for name, held in zip("ab", inputs, strict=False)
    ]
    return {
        "id": "5",
        "type": "bucket_script",
        "pipelineVariables": variables,
        "settings": {"script": script},
    }


def _postgres(question: Question) -> Target:
    value = {
        "rate": "sum(value) / $__interval_ms * 1000.0",
        "level": "avg(value)" if question.kind == "gauge" else "avg(total)",
        "mean": "sum(sum) / nullif(sum(count), 0)",
        "p95": "max(p95)",  # of the windows within a step: the worst one
    }[question.ask]
    if question.ask == "rate" and question.kind == "histogram":
        value = "sum(count) / $__interval_ms * 1000.0"
    if _is_total(question):
        value = "sum(value)"
    line = f"attributes ->> '{question.by}'" if question.by else "name"
    where = [f"name = '{question.metric}'", "service LIKE '$service'"]
    where.append("$__timeFilter(time)")
    if question.failed:
        where.append("attributes ->> 'error.type' IS NOT NULL")
    text = (
        f'SELECT $__timeGroupAlias("time", $__interval), {line} AS metric, '
        f"{value} AS value FROM probekit_metrics WHERE {' AND '.join(where)} "
        "GROUP BY 1, 2"
    )
    if _is_total(question):
        text = (
            "SELECT time, metric, sum(value) OVER (PARTITION BY metric ORDER BY time) "
            f"AS value FROM ({text}) AS steps"
        )
    return _sql(f"{text} ORDER BY 1")


def _sql(text: str) -> Target:
    return {"rawSql": text, "format": "time_series", "rawQuery": True}


_TABLES = {
    "counter": "otel_metrics_sum",
    "up_down_counter": "otel_metrics_sum",
    "gauge": "otel_metrics_gauge",
    "histogram": "otel_metrics_histogram",
}


def _clickhouse(question: Question) -> Target:
    value = {
        "rate": "sum(Value) / ($__interval_ms / 1000)",
        "level": "avg(Value)",
        "mean": "sum(Sum) / sum(Count)",
        "p95": _CLICKHOUSE_P95,
    }[question.ask]
    if question.ask == "rate" and question.kind == "histogram":
        value = "sum(Count) / ($__interval_ms / 1000)"
    if _is_total(question):
        value = "sum(sum(Value)) OVER (PARTITION BY metric ORDER BY time)"
    line = f"Attributes['{question.by}']" if question.by else "MetricName"
    where = [f"MetricName = '{question.metric}'", "ServiceName LIKE '$service'"]
    where.append("$__timeFilter(TimeUnix)")
    if question.failed:
        where.append("Attributes['error.type'] != ''")
    text = (
        f"SELECT $__timeInterval(TimeUnix) AS time, {line} AS metric, "
        f"{value} AS value FROM {_TABLES[question.kind]} "
        f"WHERE {' AND '.join(where)} GROUP BY time, metric ORDER BY time"
    )
    return {"rawSql": text, "queryType": "timeseries", "editorType": "sql", "format": 0}


# The upper bound of the bucket that holds the 95th percentile of all values.
_CLICKHOUSE_P95 = (
    "arrayElement(arrayConcat(any(ExplicitBounds), [max(Max)]), "
    "arrayFirstIndex(c -> c >= 0.95 * sum(Count), "
    "arrayCumSum(sumForEach(BucketCounts))))"
)

STORES: "Mapping[str, Store]" = {
    "prometheus": Store("prometheus", _prometheus, "shop_orders_total"),
    "influxdb": Store("influxdb", _influxdb),
    "graphite": Store("graphite", _graphite, needs="?tags=graphite"),
    "opentsdb": Store("opentsdb", _opentsdb),
    "elasticsearch": Store("elasticsearch", _elasticsearch),
    "postgres": Store("grafana-postgresql-datasource", _postgres),
    "clickhouse": Store("grafana-clickhouse-datasource", _clickhouse),
}
