"""The queries of a dashboard's panels as Grafana would send them, and their answers.

Grafana itself cannot be installed here. What it does between a panel and a store is
done by hand: variables and macros are replaced as its documentation says, the query
goes to the store's own interface, and each function returns line → its numbers over
time.
"""

import contextlib
import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import sqlalchemy as sa
from servers import SERVERS

from needs import installed
from probekit.center.dashboards.grafana import dashboard
from probekit.center.dashboards.kibana import saved_objects

STEP_S = 2


def panels(store):
    """Title → what the panel asks, variables replaced by what they begin with."""
    made = dashboard(store)
    variables = {
        each["name"]: each["query"]
        for each in made["templating"]["list"]
        if each["type"] == "textbox"
    }
    return {
        panel["title"]: _filled(panel["targets"][0], variables)
        for panel in made["panels"]
        if panel["type"] != "row"
    }


def _filled(target, variables):
    text = json.dumps(target)
    for name, value in variables.items():
        text = text.replace(f"${name}", json.dumps(value)[1:-1])
    text = text.replace("$__rate_interval", f"{4 * STEP_S}s")
    text = text.replace("$__interval_ms", str(1000 * STEP_S))
    return json.loads(text.replace("$__interval", f"{STEP_S}s"))


def _lines(rows):
    """(line, value) in order of time → line → values; what is no number is left out."""
    found = defaultdict(list)
    for line, value in rows:
        if value is not None and float(value) == float(value):
            found[line].append(float(value))
    return dict(found)


def prometheus(server, target):
    """A range query."""
    now_s = time.time()
    times = {"start": now_s - 60, "end": now_s + 1, "step": 1}
    found = server.api("query_range", query=target["expr"], **times)
    return _lines(
        (",".join(row["metric"].values()), value)
        for row in found["result"]
        for _, value in row["values"]
    )


def influxdb(server, target):
    """InfluxQL over HTTP."""
    query = target["query"].replace("$timeFilter", "time > now() - 10m")
    return _lines(
        (",".join(series.get("tags", {}).values()), value)
        for series in server.query(query, "pk")
        for _, value in series["values"]
    )


def postgres(database, target):
    """SQL, with Grafana's macros for PostgreSQL."""
    group = f'floor(extract(epoch from "time")/{STEP_S})*{STEP_S} AS "time"'
    past = "time BETWEEN now() - interval '10 minutes' AND now()"
    text = target["rawSql"].replace("$__timeFilter(time)", past)
    text = text.replace(f'$__timeGroupAlias("time", {STEP_S}s)', group)
    engine = sa.create_engine(database.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(text.replace("%", "%%")).all()
    return _lines((row.metric, row.value) for row in rows)


def clickhouse(engine, target):
    """SQL, with the macros of Grafana's plugin for ClickHouse."""
    group = f"toStartOfInterval(toDateTime(TimeUnix), INTERVAL {STEP_S} second)"
    past = "TimeUnix >= now() - 600 AND TimeUnix <= now() + 1"
    text = target["rawSql"].replace("$__timeFilter(TimeUnix)", past)
    text = text.replace("$__timeInterval(TimeUnix)", group)
    text = text.replace(" otel_metrics_", " pk.otel_metrics_")
    return _lines((row["metric"], row["value"]) for row in engine.rows(text))


def elasticsearch(server, target):
    """The search that Grafana makes of an Elasticsearch target."""
    inner = dict(_aggregation(metric) for metric in target["metrics"])
    for bucket in reversed(target["bucketAggs"]):
        made = {"field": bucket["field"], "fixed_interval": f"{STEP_S}s"}
        if bucket["type"] == "terms":
            made = {"field": bucket["field"], "size": int(bucket["settings"]["size"])}
        inner = {bucket["id"]: {bucket["type"]: made, "aggs": inner}}
    words = {"query": target["query"], "analyze_wildcard": True}
    server.ask("/metrics-probekit-default/_refresh", {})
    found = server.ask(
        "/metrics-probekit-default/_search",
        {"size": 0, "query": {"query_string": words}, "aggs": inner},
    )["aggregations"]
    shown = next(m["id"] for m in target["metrics"] if not m.get("hide"))
    groups = found["2"]["buckets"] if "2" in found else [{"key": "", **found}]
    return _lines(
        (group["key"], step.get(shown, {}).get("value"))
        for group in groups
        for step in group["3"]["buckets"]
    )


def _aggregation(metric):
    if metric["type"] == "bucket_script":
        paths = {v["name"]: v["pipelineAgg"] for v in metric["pipelineVariables"]}
        made = {"buckets_path": paths, "script": metric["settings"]["script"]}
    elif metric["type"] == "cumulative_sum":
        made = {"buckets_path": metric["field"]}
    else:
        made = {"field": metric["field"]}
    return metric["id"], {metric["type"]: made}


def kibana(server):
    """Title → lines of every visualisation that Kibana would draw; no Kibana either.

    A visualisation of the time series builder says filter, split and metrics; KQL's
    words are those of a query string in capitals.
    """
    found = {}
    for each in saved_objects():
        if each["type"] == "visualization":
            model = json.loads(each["attributes"]["visState"])["params"]
            title = each["attributes"]["title"].rpartition(", ")[0]
            label = model["series"][0]["label"]
            found[title.partition(": ")[2], label] = _visualised(server, model)
    return found


def _visualised(server, model):
    (series,) = model["series"]
    metrics = dict(_builder_metric(metric) for metric in series["metrics"])
    steps = {"field": model["time_field"], "fixed_interval": f"{STEP_S}s"}
    inner = {"steps": {"date_histogram": steps, "aggs": metrics}}
    split = series["split_mode"] == "terms"
    if split:
        terms = {"field": series["terms_field"], "size": int(series["terms_size"])}
        inner = {"split": {"terms": terms, "aggs": inner}}
    words = model["filter"]["query"]
    query = re.sub(r"\b(and|or|not)\b", lambda word: word[0].upper(), words)
    answer = server.ask(
        f"/{model['index_pattern'].replace('*', 'default')}/_search",
        {"size": 0, "query": {"query_string": {"query": query}}, "aggs": inner},
    )["aggregations"]
    groups = answer["split"]["buckets"] if split else [{"key": "", **answer}]
    shown = series["metrics"][-1]["id"]
    return _lines(
        (group["key"], step.get(shown, {}).get("value"))
        for group in groups
        for step in group["steps"]["buckets"]
    )


def _builder_metric(metric):
    if metric["type"] == "cumulative_sum":
        return metric["id"], {"cumulative_sum": {"buckets_path": metric["field"]}}
    if metric["type"] != "math":
        return metric["id"], {metric["type"]: {"field": metric["field"]}}
    paths = {each["name"]: each["field"] for each in metric["variables"]}
    script = metric["script"].replace("params._interval", str(1000 * STEP_S))
    return metric["id"], {"bucket_script": {"buckets_path": paths, "script": script}}


def opentsdb(server, target):
    """What the store holds for the panel's metric and filters; no OpenTSDB can be had.

    VictoriaMetrics has taken the points as OpenTSDB would, and is asked in its own
    language: the same metric, the same tags, grouped by the same one.
    """
    by = [each["tagk"] for each in target["filters"] if each["groupBy"]]
    found = defaultdict(list)
    for labels, values in server.values(f'{{__name__="{target["metric"]}"}}') or []:
        if all(each["tagk"] in labels for each in target["filters"]):
            found[",".join(labels[tag] for tag in by)] += values
    return dict(found)


def graphite(carbon, targets):
    """Title → lines: graphite-web's own functions over carbon's files, all at once."""
    packages = installed(SERVERS / "graphite-web") / "usr/lib/python3/dist-packages"
    asked = {"carbon": str(carbon.folder), "targets": targets}
    done = subprocess.run(
        ["/usr/bin/python3", Path(__file__).with_name("graphite_web.py"), packages],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def application(folder, urls):
    """An application that has delivered to all *urls*; yields its number of orders."""
    program = Path(__file__).with_name("dashboard_app.py")
    with subprocess.Popen(
        [sys.executable, program, folder / "buffer.db", *urls],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as app:
        try:
            yield json.loads(app.stdout.readline())
        finally:
            app.stdin.close()
