"""Saved objects for Kibana and OpenSearch Dashboards: one JSON object a line; pure.

Written in the form of version 7.10, which both read and newer Kibanas migrate: data
views, a visualisation (TSVB) for each question, searches for events and spans, and one
dashboard. Ids are derived from names, so that importing again overwrites.
"""

import json
import uuid
from collections.abc import Sequence
from typing import Any

from probekit.center.dashboards.questions import BUSINESS, SECTIONS, Question

Json = dict[str, Any]
_WIDTH, _HEIGHT = 16, 12  # Kibana's grid has 48 columns
_COLUMNS = 48 // _WIDTH
_SPACE = uuid.UUID("7d3c3c6a-3f0e-5d2b-9a53-70726f626b69")
_OTHERS = "system.* or process.* or probekit.* or cpython.* or http.* or db.*"
_FORMATS = {"s": "s,ms,2", "By": "bytes", "1": "percent"}
_FIELDS = {
    "events": ("severity", "name", "message", "attributes.exception.type", "service"),
    "spans": ("name", "kind", "duration_s", "status", "service", "trace_id"),
}
_STREAMS = {"metrics": "metrics", "events": "logs", "spans": "traces"}


def saved_objects(title: str = "probekit", dataset: str = "probekit") -> "list[Json]":
    """All objects, those that are referred to first.

    Args:
        title: The dashboard's title, and the beginning of all other titles.
        dataset: The exporter's ``dataset``.

    Example:
        >>> sorted({found["type"] for found in saved_objects()})
        ['dashboard', 'index-pattern', 'search', 'visualization']

    """
    views = {
        signal: _view(f"{stream}-{dataset}-*") for signal, stream in _STREAMS.items()
    }
    panels = [
        _visualisation(question, f"{title}: {section}, {question.title}", dataset)
        for section, questions in SECTIONS
        for question in questions
    ]
    panels += [
        _search(f"{title}: {signal}", views[signal]["id"], _FIELDS[signal])
        for signal in ("events", "spans")
    ]
    return [*views.values(), *panels, _dashboard(title, panels)]


def ndjson(objects: "Sequence[Json]") -> str:
    """*objects* as Kibana imports them."""
    return "".join(json.dumps(found, ensure_ascii=False) + "\n" for found in objects)


def _id(kind: str, name: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{kind} {name}"))


def _object(
    kind: str, name: str, version: str, attributes: Json, references: "Sequence[Json]"
) -> Json:
    return {
        "type": kind,
        "id": _id(kind, name),
        "attributes": attributes,
        "references": list(references),
        "migrationVersion": {kind: version},
    }


def _view(pattern: str) -> Json:
    attributes = {"title": pattern, "timeFieldName": "@timestamp"}
    return _object("index-pattern", pattern, "7.6.0", attributes, ())


def _visualisation(question: Question, title: str, dataset: str) -> Json:
    series_id = _id("series", title)
    model = {
        "id": _id("model", title),
        "type": "timeseries",
        "index_pattern": f"metrics-{dataset}-*",
        "use_kibana_indexes": False,
        "time_field": "@timestamp",
        "time_range_mode": "entire_time_range",
        "interval": "",
        "drop_last_bucket": 0,
        "axis_formatter": "number",
        "axis_position": "left",
        "axis_scale": "normal",
        "show_grid": 1,
        "show_legend": 1,
        "tooltip_mode": "show_all",
        "filter": {"language": "kuery", "query": _filter(question)},
        "series": [
            {
                "id": series_id,
                "label": question.title,
                "metrics": _metrics(question, title),
                **_split(question),
                "chart_type": "line",
                "line_width": 1,
                "point_size": 1,
                "fill": 0.2,
                "stacked": "none",
                "separate_axis": 0,
                "axis_position": "right",
                "color": "#54B399",
                "formatter": _format(question),
                "value_template": "{{value}}",
            }
        ],
    }
    state = {"title": title, "type": "metrics", "aggs": [], "params": model}
    attributes = {
        "title": title,
        "description": "",
        "uiStateJSON": "{}",
        "version": 1,
        "visState": json.dumps(state),
        "kibanaSavedObjectMeta": _meta(),
    }
    return _object("visualization", title, "7.10.0", attributes, ())


def _filter(question: Question) -> str:
    if question.metric == BUSINESS:
        return f"kind:counter and not name:({_OTHERS})"
    failed = " and attributes.error.type:*" if question.failed else ""
    return f'name:"{question.metric}"{failed}'


def _split(question: Question) -> Json:
    field = "name" if question.metric == BUSINESS else f"attributes.{question.by}"
    if not question.by and question.metric != BUSINESS:
        return {"split_mode": "everything"}
    return {"split_mode": "terms", "terms_field": field, "terms_size": "20"}


def _format(question: Question) -> str:
    if question.ask == "rate":
        return "bytes" if question.unit == "By" else "number"
    return _FORMATS.get(question.unit, "number")


def _metrics(question: Question, title: str) -> "list[Json]":
    """What is asked of each step of time; a formula where one number is not enough."""
    histogram = question.kind == "histogram"
    if question.ask == "p95":  # of the windows within a step: the worst one
        return [_metric("max", "p95", title)]
    if question.ask == "level":
        if question.kind == "counter":  # of all series, since the time shown began
            added = _metric("sum", "value", title)
            summed = {"id": _id("metric", f"{title} total"), "type": "cumulative_sum"}
            return [added, {**summed, "field": added["id"]}]
        return [_metric("avg", "value", title)]
    if question.ask == "mean":
        both = [_metric("sum", "sum", title), _metric("sum", "count", title)]
        return [*both, _math("params.a / params.b", both, title)]
    counted = _metric("sum", "count" if histogram else "value", title)
    return [counted, _math("params.a / params._interval * 1000", [counted], title)]


def _metric(how: str, field: str, title: str) -> Json:
    return {"id": _id("metric", f"{title} {field}"), "type": how, "field": field}


def _math(script: str, inputs: "Sequence[Json]", title: str) -> Json:
    variables = [
        {"id": _id("variable", f"{title} {name}"), "name": name, "field": held["id"]}
        for name, held in zip("ab", inputs, strict=False)
    ]
    return {
        "id": _id("metric", f"{title} formula"),
        "type": "math",
        "script": script,
        "variables": variables,
    }


def _search(title: str, view_id: str, fields: "Sequence[str]") -> Json:
    name = "kibanaSavedObjectMeta.searchSourceJSON.index"
    attributes = {
        "title": title,
        "description": "",
        "columns": list(fields),
        "sort": [["@timestamp", "desc"]],
        "version": 1,
        "kibanaSavedObjectMeta": _meta(indexRefName=name),
    }
    reference = {"name": name, "type": "index-pattern", "id": view_id}
    return _object("search", title, "7.9.3", attributes, (reference,))


def _meta(**more: str) -> Json:
    source = {"query": {"language": "kuery", "query": ""}, "filter": [], **more}
    return {"searchSourceJSON": json.dumps(source)}


def _dashboard(title: str, panels: "Sequence[Json]") -> Json:
    placed, references = [], []
    for position, panel in enumerate(panels):
        row, column = divmod(position, _COLUMNS)
        place = {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
        name = f"panel_{position}"
        placed.append(
            {
                "version": "7.10.0",
                "gridData": {**place, "i": str(position)},
                "panelIndex": str(position),
                "embeddableConfig": {},
                "panelRefName": name,
            }
        )
        references.append({"name": name, "type": panel["type"], "id": panel["id"]})
    attributes = {
        "title": title,
        "description": "Functions, requests, errors, business and host.",
        "hits": 0,
        "version": 1,
        "panelsJSON": json.dumps(placed),
        "optionsJSON": json.dumps({"useMargins": True, "hidePanelTitles": False}),
        "timeRestore": True,
        "timeFrom": "now-1h",
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 30000},
        "kibanaSavedObjectMeta": _meta(),
    }
    return _object("dashboard", title, "7.9.3", attributes, references)
