"""What ``probekit dashboards kibana`` writes hangs together."""

import json
import re

from click.testing import CliRunner

from probekit.cli.dashboards_kibana import command
from probekit.exporters.elasticsearch.mappings import template_of


def written(*arguments):
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert 0 == result.exit_code
    return [json.loads(line) for line in result.output.splitlines()]


def fields(signal):
    template = template_of(signal, "probekit", dots_are_dots=True)
    return set(template["template"]["mappings"]["properties"])


def test_every_reference_leads_to_an_object_that_stands_before():
    seen = set()
    for found in written():
        wanted = {(r["type"], r["id"]) for r in found["references"]}
        assert wanted <= seen
        seen.add((found["type"], found["id"]))

    assert {"index-pattern", "visualization", "search", "dashboard"} == {
        kind for kind, _ in seen
    }


def test_every_panel_of_the_dashboard_has_its_place_and_no_two_share_one():
    dashboard = written()[-1]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    names = {r["name"] for r in dashboard["references"]}
    places = {(p["gridData"]["x"], p["gridData"]["y"]) for p in panels}

    assert names == {panel["panelRefName"] for panel in panels}
    assert len(panels) == len(places)
    assert all(p["gridData"]["x"] + p["gridData"]["w"] <= 48 for p in panels)


def test_panels_ask_only_for_fields_that_the_exporter_writes():
    asked = set()
    for found in written():
        if found["type"] == "visualization":
            for series in json.loads(found["attributes"]["visState"])["params"][
                "series"
            ]:
                ids = {m["id"] for m in series["metrics"]}
                named = {m["field"] for m in series["metrics"] if "field" in m}
                asked |= named - ids
                asked |= {series.get("terms_field", "name")}

    assert asked
    assert set() == {a for a in asked if not a.startswith("attributes.")} - fields(
        "metrics"
    )


def test_searches_show_only_fields_that_the_exporter_writes():
    shown = {
        found["attributes"]["title"].rpartition(" ")[2]: found["attributes"]["columns"]
        for found in written()
        if found["type"] == "search"
    }

    assert {"events", "spans"} == set(shown)
    for signal, columns in shown.items():
        plain = {name for name in columns if not name.startswith("attributes.")}
        assert set() == plain - fields(signal)


def test_every_formula_names_its_variables():
    for found in written():
        if found["type"] != "visualization":
            continue
        for metric in json.loads(found["attributes"]["visState"])["params"]["series"][
            0
        ]["metrics"]:
            if metric["type"] == "math":
                used = set(re.findall(r"params\.([a-z]\w*)", metric["script"]))
                assert used == {v["name"] for v in metric["variables"]}


def test_the_same_command_writes_the_same_objects_and_another_title_others():
    ids = {found["id"] for found in written()}

    assert ids == {found["id"] for found in written()}
    other = written("--title", "shop", "--dataset", "shop")
    assert set() == ids & {found["id"] for found in other}
    assert "metrics-shop-*" == other[0]["attributes"]["title"]
