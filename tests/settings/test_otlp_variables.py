import pytest

from probekit.exporters import build
from probekit.settings import load
from probekit.settings.otlp import otlp_url


def url(**variables):
    return otlp_url({f"OTEL_EXPORTER_OTLP_{k}": v for k, v in variables.items()})


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({}, ""),
        ({"PROTOCOL": "http/json"}, ""),
        ({"ENDPOINT": "http://c:4318"}, "otlp://c:4318"),
        ({"ENDPOINT": "http://c:4318/"}, "otlp://c:4318"),
        ({"ENDPOINT": "http://c/base/"}, "otlp://c:80/base"),
        ({"ENDPOINT": "https://c"}, "otlp://c:443?tls=1"),
        ({"ENDPOINT": "http://[::1]:4318"}, "otlp://[::1]:4318"),
        ({"ENDPOINT": "http://c:1", "PROTOCOL": "http/json"}, "otlp+json://c:1"),
        ({"ENDPOINT": "c:4317", "PROTOCOL": "grpc"}, "otlp+grpc://c:4317"),
        ({"ENDPOINT": "http://c:1", "HEADERS": "Api-Key=a%20b, x=1"},
         "otlp://c:1?header.api-key=a%20b&header.x=1"),
        ({"ENDPOINT": "http://c:1", "TIMEOUT": "2500"}, "otlp://c:1?timeout_s=2.5"),
        ({"ENDPOINT": "http://c:1", "CERTIFICATE": "/x/ca.pem"}, "otlp://c:1"),
        ({"ENDPOINT": "http://c:1", "COMPRESSION": "none"}, "otlp://c:1?gzip=0"),
        ({"ENDPOINT": "https://c:1", "CERTIFICATE": "/x/ca.pem"},
         "otlp://c:1?tls=1&ca=%2Fx%2Fca.pem"),
    ],
)  # fmt: skip
def test_the_standard_variables_are_one_url(variables, expected):
    """Of the exporter that we have for it."""
    assert expected == url(**variables)


@pytest.mark.parametrize(
    "variables, word",
    [
        ({"ENDPOINT": "ftp://c"}, "ENDPOINT"),
        ({"ENDPOINT": "http://"}, "ENDPOINT"),
        ({"ENDPOINT": "collector"}, "ENDPOINT"),
        ({"ENDPOINT": "http://c:99999"}, "ENDPOINT"),
        ({"ENDPOINT": "http://c", "PROTOCOL": "carrier-pigeon"}, "PROTOCOL"),
        ({"ENDPOINT": "http://c", "HEADERS": "x"}, "HEADERS"),
        ({"ENDPOINT": "http://c", "TIMEOUT": "soon"}, "TIMEOUT"),
    ],
)
def test_a_malformed_variable_is_named(variables, word):
    """Its value is not shown: it may be a credential."""
    with pytest.raises(ValueError, match=f"OTEL_EXPORTER_OTLP_{word}"):
        url(**variables)


def test_the_url_is_one_that_the_exporter_takes():
    """Every parameter that we write, it knows."""
    text = url(ENDPOINT="https://c:1", HEADERS="x=1", TIMEOUT="100", COMPRESSION="gzip")

    assert build(text).contract.acknowledges


def test_exporters_of_ours_take_the_place_of_the_standard_one():
    """The variables of another SDK do not add a second delivery."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
        "PROBEKIT_EXPORTERS": "console:",
    }

    assert ("console:",) == load(environ=environ).exporters
