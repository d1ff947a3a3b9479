import os
import sys
from pathlib import Path

import pytest

from probekit.errors import ConfigError
from probekit.settings import Settings, is_disabled, load
from probekit.settings.file import _is_trusted
from probekit.testing.memory import MemoryExporter

ROOT = Path("/")


def read(environ=None, folder=ROOT, **code):
    return load(environ=environ or {}, folder=folder, **code)


@pytest.fixture
def project(tmp_path):
    """A folder with a file of settings, and a folder two levels below it."""
    (tmp_path / "a" / "b").mkdir(parents=True)

    def write(text, name="probekit.toml"):
        (tmp_path / name).write_text(text)
        return tmp_path / "a" / "b"

    return write


def test_code_goes_over_environment_over_standard_over_file_over_default(project):
    """Each origin in turn, by taking the strongest away."""
    folder = project('service = "file"\n')
    standard = {"OTEL_SERVICE_NAME": "standard"}
    own = standard | {"PROBEKIT_SERVICE": "own"}

    assert "code" == read(own, folder, service="code").service
    assert "own" == read(own, folder).service
    assert "standard" == read(standard, folder).service
    assert "file" == read({}, folder).service
    assert read({}).service.startswith("unknown_service:")


def test_every_value_knows_where_it_came_from(project):
    """For doctor, and for people who wonder."""
    folder = project("interval_s = 1\n")
    origins = read({"PROBEKIT_SHIPPER": "process"}, folder, service="shop").origins

    assert "code" == origins["service"]
    assert "PROBEKIT_SHIPPER" == origins["shipper"]
    assert str(folder.parents[1] / "probekit.toml") == origins["interval_s"]
    assert "default" == origins["traces"]


def test_none_and_no_exporters_mean_not_given():
    """So that configure's own defaults do not hide the environment."""
    environ = {"PROBEKIT_EXPORTERS": "tcp://h:1", "PROBEKIT_SERVICE": "own"}
    found = read(environ, service=None, exporters=(), interval_s=None)

    assert ("tcp://h:1",) == found.exporters
    assert "own" == found.service
    assert 10.0 == found.interval_s


@pytest.mark.parametrize(
    "variable, text, setting, value",
    [
        ("PROBEKIT_INTERVAL_S", "2.5", "interval_s", 2.5),
        ("PROBEKIT_FLUSH_INTERVAL_S", "1", "flush_interval_s", 1.0),
        ("PROBEKIT_HOST_METRICS", "0", "host_metrics", False),
        ("PROBEKIT_HOST_METRICS", "yes", "host_metrics", True),
        ("PROBEKIT_SYNC_DURABLE", "1", "sync_durable", True),
        ("PROBEKIT_SHIPPER", "external", "shipper", "external"),
        ("PROBEKIT_TRACES", "0.25", "traces", 0.25),
        ("PROBEKIT_INSTRUMENT", "shop.*, cart", "instrument", ("shop.*", "cart")),
        ("PROBEKIT_DISABLE", "1", "disabled", True),
        ("OTEL_SDK_DISABLED", "TRUE", "disabled", True),
        ("PROBEKIT_BUFFER", ":memory:", "buffer", None),
        ("PROBEKIT_EXPORTERS", "kafka://a:1,b:2/t, console:,tcp://c:3?x=1,2",
         "exporters", ("kafka://a:1,b:2/t", "console:", "tcp://c:3?x=1,2")),
        ("PROBEKIT_SERVICE", "", "interval_s", 10.0),
    ],
)  # fmt: skip
def test_each_variable_becomes_its_setting(variable, text, setting, value):
    """An empty variable is one that is not set."""
    assert value == getattr(read({variable: text}), setting)


@pytest.mark.parametrize(
    "environ, code, words",
    [
        ({}, {"interval_s": 0.1}, ["interval_s", "0.1", "0.5", "code"]),
        ({}, {"interval_s": "x"}, ["interval_s", "'x'"]),
        ({}, {"interval_s": float("nan")}, ["interval_s", "nan"]),
        ({}, {"interval_s": True}, ["interval_s", "True"]),
        ({"PROBEKIT_INTERVAL_S": "soon"}, {}, ["PROBEKIT_INTERVAL_S", "soon"]),
        ({}, {"flush_interval_s": -1}, ["flush_interval_s", "-1"]),
        ({}, {"shipper": "fork"}, ["shipper", "fork", "external"]),
        ({}, {"host_metrics": 1}, ["host_metrics", "1", "true or false"]),
        ({"PROBEKIT_HOST_METRICS": "2"}, {}, ["PROBEKIT_HOST_METRICS", "'2'"]),
        ({}, {"traces": 1.5}, ["traces", "1.5"]),
        ({}, {"traces": "all"}, ["traces", "all"]),
        ({}, {"service": ""}, ["service", "''", "empty"]),
        ({}, {"service": 7}, ["service", "7"]),
        ({}, {"buffer": ""}, ["buffer", "path"]),
        ({}, {"buffer": 7}, ["buffer", "7"]),
        ({}, {"buffer": "a\0b"}, ["buffer"]),
        ({}, {"exporters": 7}, ["exporters", "7"]),
        ({}, {"exporters": [int]}, ["exporters", "type"]),
        ({}, {"exporters": ["tcp://me:geheim@h:1", 7]}, ["exporters", "tcp://h:1"]),
        ({}, {"resource": "a"}, ["resource", "'a'"]),
        ({}, {"resource": {"a": object()}}, ["resource", "a must be", "object"]),
        ({}, {"retention": {"max_bytes": 5}}, ["retention", "max_bytes", "1048576"]),
        ({}, {"retention": {"bytes": 5}}, ["retention", "bytes", "max_bytes"]),
        ({}, {"limits": {"series": 0}}, ["limits", "series", "1 or more"]),
        ({}, {"scrub": "yes"}, ["scrub", "yes"]),
        ({}, {"scrub": {"names": []}}, ["scrub", "names", "deny_names"]),
        ({}, {"exporter": "tcp://h:1"}, ["'exporter'", "'exporters'", "code"]),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a"}, {}, ["OTEL_RESOURCE_ATTRIBUTES"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://h"}, {}, ["OTLP_ENDPOINT", "https"]),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_origin_and_its_rule(environ, code, words):
    """One line; no password in it."""
    with pytest.raises(ConfigError) as caught:
        read(environ, **code)
    text = str(caught.value)

    assert all(word in text for word in words), text
    assert "\n" not in text
    assert "geheim" not in text


def test_the_nearest_file_counts(project, tmp_path):
    """A project inside another one has its own settings."""
    folder = project('service = "outer"\n')
    (tmp_path / "a" / "pyproject.toml").write_text('[tool.probekit]\nservice = "in"\n')

    assert "in" == read(folder=folder).service
    assert "outer" == read(folder=tmp_path).service


def test_a_pyproject_without_our_table_is_passed_over(project, tmp_path):
    """Even one that is broken: it is not ours to judge."""
    folder = project('service = "outer"\n')
    (tmp_path / "a" / "pyproject.toml").write_text("this is [not toml")
    (folder / "pyproject.toml").write_text('[project]\nname = "x"\n')

    assert "outer" == read(folder=folder).service


def test_an_unknown_key_in_a_file_names_the_nearest(project):
    """And the file."""
    folder = project("flush_interval = 1\n")

    with pytest.raises(ConfigError, match=r"flush_interval.*probekit\.toml.*_s'"):
        read(folder=folder)


def test_a_broken_file_is_named(project):
    """One line with the place of the mistake."""
    with pytest.raises(ConfigError, match=r"probekit\.toml: is not valid TOML"):
        read(folder=project("service = shop\n"))


def test_a_path_in_a_file_is_meant_from_where_the_file_lies(project):
    """Wherever the program is started."""
    folder = project('buffer = "var/buffer.db"\n')

    assert folder.parents[1] / "var/buffer.db" == read(folder=folder).buffer


def test_a_file_of_another_user_is_not_read(project, monkeypatch):
    """It could send our data anywhere."""
    folder = project('exporters = ["tcp://thief:1"]\n')

    assert ("tcp://thief:1",) == read(folder=folder).exporters
    monkeypatch.setattr("probekit.settings.file._is_trusted", lambda owner: False)
    assert () == read(folder=folder).exporters


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners on this system")
def test_root_and_the_user_are_trusted_and_nobody_else():
    """By the number of the owner."""
    assert _is_trusted(0)
    assert _is_trusted(os.getuid())
    assert not _is_trusted(os.getuid() + 1)


def test_without_any_file_no_toml_library_is_loaded():
    """A start of a thousand processes does not pay for it."""
    import subprocess

    program = (
        "import sys; from pathlib import Path; from probekit.settings import load;"
        "load(environ={}, folder=Path('/'));"
        "print({'tomllib', 'tomli', 'difflib'} & set(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert "set()" == out.strip()


def test_resources_are_merged_name_by_name(project):
    """The stronger origin wins a name, the weaker keeps the others."""
    folder = project('[resource]\n"a" = "file"\n"b" = "file"\n')
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "b=env%20ironment,c=1"}
    found = read(environ, folder, service="shop", resource={"c": [1, 2]})

    assert {
        "a": "file",
        "b": "env ironment",
        "c": (1, 2),
        "service.name": "shop",
    } == found.resource


@pytest.mark.parametrize(
    "environ, service",
    [
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=res"}, "res"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=res",
          "OTEL_SERVICE_NAME": "name"}, "name"),
    ],
)  # fmt: skip
def test_the_service_may_stand_among_the_resources(environ, service):
    """As the specification has it: the variable of its own is stronger."""
    found = read(environ)

    assert service == found.service
    assert service == found.resource["service.name"]


def test_the_default_buffer_lies_under_the_state_folder_by_service(tmp_path):
    """One buffer for each service of a user; no name leads out of the folder."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}

    assert tmp_path / "probekit/shop/buffer.db" == read(environ, service="shop").buffer
    for hostile in ("../../etc", "..", "a/b", ".hidden", "x" * 200):
        path = read(environ, service=hostile).buffer

        assert tmp_path / "probekit" == path.parents[1]
        assert not path.parent.name.startswith(".")
    assert read(environ, service="a/b").buffer != read(environ, service="a-b").buffer


def test_a_relative_state_folder_is_ignored(monkeypatch, tmp_path):
    """The XDG rule."""
    monkeypatch.setenv("HOME", str(tmp_path))
    found = read({"XDG_STATE_HOME": "state"}, service="shop")

    assert tmp_path / ".local/state/probekit/shop/buffer.db" == found.buffer


def test_a_relative_buffer_is_made_absolute_at_once(monkeypatch, tmp_path):
    """The application may change its folder later."""
    monkeypatch.chdir(tmp_path)

    assert tmp_path / "x.db" == read(buffer="x.db").buffer


@pytest.mark.parametrize("weaker", [False, True, {"enabled": False}, lambda text: text])
def test_high_security_cannot_be_weakened_by_code(project, weaker):
    """Environment and file win over code here."""
    by_file = read(folder=project("high_security = true\n"), scrub=weaker)
    by_environment = read({"PROBEKIT_HIGH_SECURITY": "1"}, scrub=weaker)
    by_both = read({"PROBEKIT_HIGH_SECURITY": "1"}, high_security=False, scrub=weaker)

    for found in (by_file, by_environment, by_both):
        assert found.scrub.enabled
        assert found.scrub.high_security
        assert "geheim" not in found.scrub.build().text("password=geheim")


def test_scrub_takes_functions_and_names(project):
    """In code functions, in a file names."""
    assert (str.upper,) == read(scrub=str.upper).scrub.extra
    assert (str.upper,) == read(scrub=[str.upper]).scrub.extra
    assert not read(scrub=False).scrub.enabled
    found = read(folder=project('[scrub]\ndeny_names = ["badge"]\n'))

    assert ("badge",) == found.scrub.deny_names


@pytest.mark.parametrize(
    "environ, disabled",
    [
        ({}, False),
        ({"PROBEKIT_DISABLE": "1"}, True),
        ({"PROBEKIT_DISABLE": "true"}, True),
        ({"PROBEKIT_DISABLE": "0"}, False),
        ({"PROBEKIT_DISABLE": "nonsense"}, False),
        ({"OTEL_SDK_DISABLED": "true"}, True),
        ({"OTEL_SDK_DISABLED": "1"}, False),
        ({"PROBEKIT_DISABLE": "0", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_kill_switch_is_read_without_anything_else(environ, disabled):
    """Never an error."""
    assert disabled == is_disabled(environ)


@pytest.mark.parametrize(
    "code", [{"interval_s": -1}, {"exporters": 3}, {"servcie": "shop"}]
)
def test_the_kill_switch_is_a_way_out_of_bad_settings(code):
    found = load(
        environ={"PROBEKIT_DISABLE": "1", "PROBEKIT_SHIPPER": "nobody"},
        folder=Path("/"),
        **code,
    )

    assert found.disabled


def test_settings_never_show_a_credential():
    """Neither repr nor the text for people."""
    found = read(
        exporters=["tcp://me:geheim@h:1?token=geheim", MemoryExporter()],
        resource={"api_key": "geheim"},
    )

    assert "geheim" not in repr(found)
    assert "MemoryExporter" in repr(found)


def test_settings_pass_through_json_unchanged(project):
    """What a child process gets is what its parent has."""
    folder = project('retention = { max_bytes = 2097152 }\n[scrub]\ndeny_names=["x"]\n')
    found = read(
        {"OTEL_RESOURCE_ATTRIBUTES": "a=1"},
        folder,
        service="shöp",
        exporters=["tcp://me:geheim@h:1"],
        resource={"b": [1, 2.5, True, "x"]},
        traces=0.5,
        buffer=":memory:",
    )
    again = Settings.from_json(found.to_json())

    assert found == again
    assert found.origins == again.origins


def test_an_exporter_object_cannot_be_handed_over():
    """It is named, and what to do instead."""
    with pytest.raises(ConfigError, match=r"exporters: a MemoryExporter .*URL"):
        read(exporters=[MemoryExporter()]).to_json()


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"service": 1}'])
def test_damaged_json_is_a_config_error(text):
    """Whatever a pipe brings."""
    with pytest.raises(ConfigError, match="damaged"):
        Settings.from_json(text)


@pytest.mark.parametrize("rules", [["errors > 5"], "errors > 5", [], {"a": object()}])
def test_alert_rules_that_nobody_would_judge_are_refused(rules):
    """Better an error at the start than an alert that never comes."""
    with pytest.raises(ConfigError, match=r"alerts.*probekit judges no rules"):
        read(alerts=rules)
