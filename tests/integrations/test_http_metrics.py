"""What every HTTP server integration builds on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import probekit
from probekit.integrations.http import (
    ServerMetrics,
    attributes_of,
    error_type,
    known_method,
    known_scheme,
    parse_traceparent,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_valid_traceparent_gives_its_ids():
    assert (TRACE, SPAN) == parse_traceparent(f"00-{TRACE}-{SPAN}-01")


def test_a_later_version_may_say_more_behind_its_flags():
    assert (TRACE, SPAN) == parse_traceparent(f"cc-{TRACE}-{SPAN}-01-what-will-come")


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
        f"00-{chr(0x661) * 32}-{SPAN}-01",
    ],
)
def test_anything_but_a_valid_traceparent_is_nothing(header):
    assert parse_traceparent(header) is None


@settings(max_examples=50)
@given(st.text(max_size=80))
def test_no_header_makes_the_parser_raise(header):
    assert parse_traceparent(header) is None


def test_words_that_clients_invent_become_one_word():
    assert ("GET", "_OTHER") == (known_method("GET"), known_method("BREW"))
    assert ("https", "_OTHER") == (known_scheme("https"), known_scheme("gopher"))


def test_what_is_unknown_is_left_out():
    assert {"http.request.method": "GET", "url.scheme": "http"} == attributes_of(
        ("GET", "http", "", "", "", "")
    )


def test_a_server_error_without_an_exception_has_its_status_as_type():
    assert (
        "503"
        == attributes_of(("GET", "http", "/", "503", "HTTP/1.1", ""))["error.type"]
    )


def test_only_exceptions_are_errors():
    assert ("KeyError", "subprocess.TimeoutExpired", "") == tuple(
        map(
            error_type, (KeyError(), subprocess.TimeoutExpired("x", 1), GeneratorExit())
        )
    )


def test_a_series_is_found_once_for_each_answer_and_not_kept_without_end(monkeypatch):
    monkeypatch.setattr("probekit.integrations.http._CACHE_LIMIT", 1)
    metrics = ServerMetrics()
    first = ("GET", "http", "/", "200", "HTTP/1.1", "")
    metrics.duration(first)
    metrics.duration(("GET", "http", "/b", "200", "HTTP/1.1", ""))

    assert metrics.duration(first) is metrics.duration(first)
    assert 1 == len(metrics.durations)


def test_importing_the_integration_imports_no_flask():
    code = (
        "import sys, probekit.integrations.flask; "
        "print({'flask', 'werkzeug', 'blinker'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "set()" == answer.stdout.strip()


@pytest.mark.parametrize(
    "protocol, version", [("HTTP/1.1", "1.1"), ("HTTP/2.0", "2"), ("HTTP/9.9", None)]
)
def test_only_known_protocol_versions_are_told(protocol, version):
    attributes = attributes_of(("GET", "http", "", "200", protocol, ""))

    assert version == attributes.get("network.protocol.version")


def test_every_metric_of_the_frameworks_is_documented():
    """By its name, read from the code."""
    root = Path(__file__).parents[2]
    source = Path(probekit.__file__).parent
    files = [
        *source.glob("integrations/*.py"),
        *source.glob("integrations/django/*.py"),
        source / "recording" / "underway" / "job.py",
    ]
    code = "".join(file.read_text("utf-8") for file in files)
    used = set(re.findall(r'\(\s*"((?:probekit|http)\.[a-z_.]+)",\s*(?:unit=|")', code))
    told = (root / "docs" / "reference" / "metrics.md").read_text("utf-8")

    assert 14 <= len(used)
    assert [] == sorted(name for name in used if f"`{name}`" not in told)
