"""The standard variables of OTLP exporters, as one URL of ours."""

from collections.abc import Mapping
from urllib.parse import quote, unquote, urlencode, urlsplit

PREFIX = "OTEL_EXPORTER_OTLP_"
_SCHEMES = {"http/protobuf": "otlp", "http/json": "otlp+json", "grpc": "otlp+grpc"}
_PORTS = {"http": 80, "https": 443}
# Variable → parameter of our URL; both say where a file lies.
_FILES = {"CERTIFICATE": "ca", "CLIENT_CERTIFICATE": "cert", "CLIENT_KEY": "key"}


def otlp_url(environ: "Mapping[str, str]") -> str:
    """Turn ``OTEL_EXPORTER_OTLP_*`` into an exporter's URL; empty without an endpoint.

    Raises:
        ValueError: A variable is malformed; the text names it.

    Example:
        >>> otlp_url({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        ...           "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b"})
        'otlp://collector:4318?header.api-key=a%20b'

    """

    def read(name: str) -> str:
        return environ.get(PREFIX + name, "").strip()

    endpoint = read("ENDPOINT")
    if not endpoint:
        return ""
    protocol = read("PROTOCOL") or "http/protobuf"
    if protocol not in _SCHEMES:
        raise ValueError(f"{PREFIX}PROTOCOL must be one of {', '.join(_SCHEMES)}")
    parameters = _headers(read("HEADERS"))
    if compression := read("COMPRESSION"):
        parameters["gzip"] = "1" if compression == "gzip" else "0"
    if timeout_ms := read("TIMEOUT"):
        parameters["timeout_s"] = _seconds(timeout_ms)
    address, secure = _address(endpoint)
    if secure:
        files = {query: read(name) for name, query in _FILES.items() if read(name)}
        parameters |= {"tls": "1", **files}
    query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
    return f"{_SCHEMES[protocol]}://{address}{query}"


def _address(endpoint: str) -> "tuple[str, bool]":
    """Host, port and path of an endpoint, and whether it is spoken to over TLS."""
    if "://" not in endpoint and ":" in endpoint:  # gRPC's form
        return endpoint, False
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:  # a port that is none, or half an IPv6 address
        parts, port = urlsplit(""), None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{PREFIX}ENDPOINT must be an http:// or https:// URL")
    host = parts.netloc
    if port is None:
        host = f"{host.rstrip(':')}:{_PORTS[parts.scheme]}"
    return host + parts.path.rstrip("/"), parts.scheme == "https"


def _headers(text: str) -> "dict[str, str]":
    headers = {}
    for item in filter(str.strip, text.split(",")):
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{PREFIX}HEADERS must be name=value,name=value")
        headers[f"header.{name.strip().lower()}"] = unquote(value.strip())
    return headers


def _seconds(milliseconds: str) -> str:
    try:
        return f"{int(milliseconds) / 1000:g}"
    except ValueError:
        raise ValueError(f"{PREFIX}TIMEOUT must be milliseconds") from None
