"""Which format a scraper wants, and whether compressed; pure."""

from collections.abc import Iterator

_OPENMETRICS = "application/openmetrics-text"
_TEXT = frozenset({"text/plain", "text/*", "*/*"})
_VERSIONS = frozenset({"", "0.0.1", "1.0.0"})


def wants_openmetrics(accept: str) -> bool:
    """Whether *accept* prefers OpenMetrics to the text format.

    Example:
        >>> wants_openmetrics("application/openmetrics-text;version=1.0.0,*/*;q=0.1")
        True
        >>> wants_openmetrics("text/plain;version=0.0.4,*/*;q=0.1")
        False

    """
    openmetrics = text = 0.0
    for media, parameters in _choices(accept):
        quality = _quality(parameters)
        if media == _OPENMETRICS and parameters.get("version", "") in _VERSIONS:
            openmetrics = max(openmetrics, quality)
        elif media in _TEXT and parameters.get("version", "0.0.4") == "0.0.4":
            text = max(text, quality)
    return openmetrics > 0 and openmetrics >= text


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the answer may be gzipped.

    Example:
        >>> accepts_gzip("gzip;q=1.0"), accepts_gzip("gzip;q=0"), accepts_gzip("")
        (True, False, False)

    """
    return any(
        coding in {"gzip", "x-gzip"} and _quality(parameters) > 0
        for coding, parameters in _choices(accept_encoding)
    )


def _choices(header: str) -> "Iterator[tuple[str, dict[str, str]]]":
    for part in header.split(","):
        name, *rest = part.split(";")
        pairs = (piece.partition("=") for piece in rest)
        yield (
            name.strip().lower(),
            {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs},
        )


def _quality(parameters: "dict[str, str]") -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0
