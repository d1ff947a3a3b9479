"""From a URL to an exporter."""

import pytest

import probekit.exporters
from probekit.errors import ConfigError
from probekit.exporters import build, known_schemes
from probekit.exporters.registry import BUILTIN
from probekit.testing import MemoryExporter

URLS = [
    "console:",
    "console:?stream=stderr",
    "file:///nowhere/x.jsonl?max_bytes=1000&backups=2&fsync=1",
    "tcp://h:1?timeout_s=3&connect_timeout_s=1",
    "tcp+tls://h:1",
    "udp://h:1?datagram_bytes=512",
    "statsd://h?tags=dogstatsd&prefix=shop.&samples=10&max_age_s=60",
    "statsd+tcp://h:8126?tags=graphite",
    "otlp://h?gzip=0&header.x-foo=bar&signals=metrics,spans&bounds=0.1,1",
    "otlp+https://h:443/base?token=t",
    "influxdb://u:p@h/db?rp=r&precision=ms&tag.dc=b&prefix=x.&gzip=0&header.x=y",
    "influxdb+https://h/bucket?org=o&token=t",
    "influxdb+udp://h?datagram_bytes=512",
    "influxdb+tcp://h?timeout_s=2",
    "collectd://u:p@h?datagram_bytes=1400&timeout_s=1",
    "graphite://h?template=a.{host}.{name}.{attributes}&prefix=x.",
    "graphite+udp://h?tags=graphite",
    "graphite+pickle://h?timeout_s=2",
    "loki://h?label.env=x&header.X-Scope-OrgID=a&signals=events,metrics&gzip=0",
    "loki+https://u:p@h/base",
    "syslog://h?facility=local3&signals=events,metrics&datagram_bytes=2048",
    "syslog+udp://h",
    "syslog+tcp://h",
    "syslog+tls://h",
    "opentsdb://h?points=10&most_tags=20&prefix=x.",
    "opentsdb+https://u:p@h/base",
    "opentsdb+telnet://h",
]


@pytest.mark.parametrize("url", URLS)
def test_every_form_of_url_builds_without_opening_anything(url):
    exporter = build(url)

    assert exporter.contract.deadline_s > 0
    assert "t" != repr(exporter)
    exporter.close()


@pytest.mark.parametrize("scheme", sorted(BUILTIN))
def test_every_scheme_refuses_a_parameter_it_does_not_know(scheme):
    rest = "///x" if scheme in {"console", "file"} else "//h:1"
    with pytest.raises(ConfigError, match=r"nonsense.*allowed: "):
        build(f"{scheme}:{rest}?nonsense=1")


@pytest.mark.parametrize(
    "url, near", [("otpl://h:1", "otlp"), ("statd://h", "statsd"), ("filex:x", "file")]
)
def test_an_unknown_scheme_names_the_nearest(url, near):
    with pytest.raises(ConfigError, match=rf"{url.split(':')[0]}.*{near}"):
        build(url)


@pytest.mark.parametrize("spec", ["", "no scheme here", 42, None, MemoryExporter])
def test_what_is_no_exporter_is_refused(spec):
    with pytest.raises(ConfigError, match="exporters: "):
        build(spec)


def test_a_bare_name_is_told_what_it_lacks():
    with pytest.raises(ConfigError, match="did you mean 'console:'"):
        build("console")


def test_an_exporter_passes_as_it_is():
    exporter = MemoryExporter()

    assert exporter is build(exporter)


def test_other_packages_bring_schemes_by_entry_point(monkeypatch):
    from importlib import metadata

    point = metadata.EntryPoint("mine", "tests_mine:make", "probekit.exporters")
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [point])

    assert "mine" in known_schemes()
    with pytest.raises(ModuleNotFoundError, match="tests_mine"):
        build("mine://h:1")


def test_classes_load_when_they_are_asked_for():
    for name in set(probekit.exporters.__all__) - {"build", "known_schemes"}:
        assert name == getattr(probekit.exporters, name).__name__
    with pytest.raises(AttributeError, match="Nothing"):
        _ = probekit.exporters.Nothing


@pytest.mark.parametrize(
    "url, rule",
    [
        ("tcp://h:1?ca=/x", "TLS is off"),
        ("tcp://h:1?tls=1&ca=/nowhere.pem", "no readable PEM"),
        ("tcp://h:1?tls=1&key=/nowhere.pem", "without cert"),
        ("tcp://h:1?tls=1&cert=/nowhere.pem", "no readable PEM"),
        ("statsd://h?prefix=a|b", "letters"),
        ("otlp://h?header.x=a%0Ab", "header 'x'"),
        ("otlp://h?header.a%20b=1", "'a b'"),
        ("file://host/x", "three slashes"),
        ("file:", "path"),
        ("file:///tmp", "folder"),
        ("tcp://h", "no port"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_once(url, rule):
    with pytest.raises(ConfigError, match=rule.replace("'", ".")):
        build(url)
