"""Settings from the environment: ``PROBEKIT_*``, then the standard ``OTEL_*``.

Texts become values here; whether a value is allowed, the rules say. An empty variable
is one that is not set, as OpenTelemetry has it.
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from probekit.settings.otlp import otlp_url

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
# A comma that begins the next URL, not one between the hosts of a URL.
_BETWEEN_URLS = re.compile(r",(?=\s*(?:[A-Za-z][A-Za-z0-9+.-]*://|console:))")


def number(text: str) -> object:
    """A number, or the text when it is none."""
    try:
        return float(text)
    except ValueError:
        return text


def switch(text: str) -> object:
    """True, false, or the text when it is neither."""
    word = text.strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    return text


def urls(text: str) -> "tuple[str, ...]":
    """URLs separated by commas; a list of hosts inside a URL stays whole."""
    return tuple(each.strip() for each in _BETWEEN_URLS.split(text) if each.strip())


def words(text: str) -> "tuple[str, ...]":
    """Words separated by commas."""
    return tuple(each.strip() for each in text.split(",") if each.strip())


# Setting → (variable, how its text becomes a value).
VARIABLES: "dict[str, tuple[str, Callable[[str], object]]]" = {
    "service": ("PROBEKIT_SERVICE", str),
    "buffer": ("PROBEKIT_BUFFER", str),
    "exporters": ("PROBEKIT_EXPORTERS", urls),
    "instrument": ("PROBEKIT_INSTRUMENT", words),
    "interval_s": ("PROBEKIT_INTERVAL_S", number),
    "flush_interval_s": ("PROBEKIT_FLUSH_INTERVAL_S", number),
    "host_metrics": ("PROBEKIT_HOST_METRICS", switch),
    "own_metrics": ("PROBEKIT_OWN_METRICS", switch),
    "sync_durable": ("PROBEKIT_SYNC_DURABLE", switch),
    "shipper": ("PROBEKIT_SHIPPER", str),
    "traces": ("PROBEKIT_TRACES", number),
    "disabled": ("PROBEKIT_DISABLE", switch),
    "high_security": ("PROBEKIT_HIGH_SECURITY", switch),
}


def own(environ: "Mapping[str, str]") -> "dict[str, tuple[object, str]]":
    """Setting → (value, variable) of what ``PROBEKIT_*`` says."""
    return {
        setting: (convert(environ[variable]), variable)
        for setting, (variable, convert) in VARIABLES.items()
        if environ.get(variable, "").strip()
    }


def standard(environ: "Mapping[str, str]") -> "dict[str, tuple[object, str]]":
    """Setting → (value, variable) of what ``OTEL_*`` says.

    Raises:
        ValueError: ``OTEL_RESOURCE_ATTRIBUTES`` or an exporter's variable is malformed.

    """
    found: dict[str, tuple[object, str]] = {}
    attributes = _attributes(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    if attributes:
        found["resource"] = (attributes, "OTEL_RESOURCE_ATTRIBUTES")
        if "service.name" in attributes:
            found["service"] = (attributes["service.name"], "OTEL_RESOURCE_ATTRIBUTES")
    if name := environ.get("OTEL_SERVICE_NAME", "").strip():
        found["service"] = (name, "OTEL_SERVICE_NAME")
    if url := otlp_url(environ):
        found["exporters"] = ((url,), "OTEL_EXPORTER_OTLP_ENDPOINT")
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        found["disabled"] = (True, "OTEL_SDK_DISABLED")
    return found


def _attributes(text: str) -> "dict[str, str]":
    """Pairs of OpenTelemetry's list: percent-decoded values.

    A list with an error in it is dropped as a whole, as its specification says.
    """
    pairs = {}
    for item in filter(str.strip, text.split(",")):
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise ValueError("OTEL_RESOURCE_ATTRIBUTES must be name=value,name=value")
        pairs[unquote(name.strip())] = unquote(value.strip())
    return pairs
