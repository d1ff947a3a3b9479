"""A Grafana dashboard as JSON: rows of panels, one for each question; pure.

Written for the classic model (schema version 39, Grafana 10 to 13). The data source is
a variable, so the file imports without editing.
"""

from collections.abc import Mapping
from typing import Any

from probekit.center.dashboards.questions import SECTIONS, Question
from probekit.center.dashboards.stores import STORES, Store

SCHEMA_VERSION = 39
_WIDTH, _HEIGHT = 24, 8
# UCUM → Grafana's word, for levels and for what a second brings.
_LEVEL_UNITS = {"s": "s", "By": "bytes", "1": "percentunit"}
_RATE_UNITS = {"By": "Bps"}

Json = dict[str, Any]


def dashboard(datasource: str, title: str = "probekit") -> Json:
    """The dashboard for one kind of store.

    Args:
        datasource: A key of ``STORES``.
        title: The dashboard's title.

    Example:
        >>> found = dashboard("prometheus")
        >>> found["panels"][0]["title"], found["panels"][1]["title"]
        ('Functions', 'Calls per second')

    """
    store = STORES[datasource]
    return {
        "title": title,
        "uid": f"probekit-{datasource}",
        "description": _description(datasource, store),
        "tags": ["probekit"],
        "timezone": "browser",
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables(store)},
        "annotations": {"list": []},
        "panels": _panels(store),
    }


def _description(datasource: str, store: Store) -> str:
    needs = f" The exporter's URL needs {store.needs}." if store.needs else ""
    return f"Functions, requests, errors, business and host, from {datasource}.{needs}"


def _source(store: Store) -> Json:
    return {"type": store.plugin, "uid": "${datasource}"}


def _variables(store: Store) -> "list[Json]":
    every = ".*" if store.plugin in {"prometheus", "graphite", "influxdb"} else "*"
    if "sql" in store.plugin or "clickhouse" in store.plugin:
        every = "%"
    return [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": store.plugin,
        },
        _textbox("service", "Service", every),
        _textbox("metric", "Business metric", store.metric),
    ]


def _textbox(name: str, label: str, text: str) -> Json:
    current = {"text": text, "value": text, "selected": True}
    return {
        "name": name,
        "label": label,
        "type": "textbox",
        "query": text,
        "current": current,
    }


def _panels(store: Store) -> "list[Json]":
    panels: list[Json] = []
    y = 0
    for title, questions in SECTIONS:
        panels.append(_row(len(panels) + 1, title, y))
        y += 1
        columns = min(3, len(questions))
        for index, question in enumerate(questions):
            line, column = divmod(index, columns)
            width = _WIDTH // columns
            at = {"x": column * width, "y": y + line * _HEIGHT, "w": width}
            place = {**at, "h": _HEIGHT}
            panels.append(_panel(len(panels) + 1, question, store, place))
        y += -(-len(questions) // columns) * _HEIGHT
    return panels


def _row(identifier: int, title: str, y: int) -> Json:
    place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
    return {
        "id": identifier,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _panel(
    identifier: int, question: Question, store: Store, place: "Mapping[str, int]"
) -> Json:
    units = _RATE_UNITS if question.ask == "rate" else _LEVEL_UNITS
    return {
        "id": identifier,
        "type": "timeseries",
        "title": question.title,
        "datasource": _source(store),
        "gridPos": dict(place),
        "targets": [
            {"refId": "A", "datasource": _source(store), **store.ask(question)}
        ],
        "fieldConfig": {
            "defaults": {
                "unit": units.get(question.unit, "short"),
                "min": 0,
                "custom": {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"},
            },
            "overrides": [],
        },
        "options": {
            "legend": {
                "displayMode": "list",
                "placement": "bottom",
                "showLegend": True,
                "calcs": [],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }
