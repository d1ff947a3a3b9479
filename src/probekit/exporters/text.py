"""Small translations that several text encodings share; pure."""

import datetime as dt
from functools import lru_cache

from probekit.model import AttributeValue, Resource

_NS = 1_000_000_000
_EXACT = 2.0**53  # above it, a float's integer digits are not all meant
SPAN_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
SPAN_STATUSES = ("unset", "ok", "error")


def rfc3339(time_unix_ns: int) -> str:
    """A moment as RFC 3339 in UTC with nine digits, so that text sorts as time does.

    Args:
        time_unix_ns: Nanoseconds since 1970; what no calendar holds becomes its edge.

    Example:
        >>> rfc3339(1_700_000_000_123_456_789)
        '2023-11-14T22:13:20.123456789Z'

    """
    seconds, nanoseconds = divmod(min(max(time_unix_ns, 0), _LAST_NS), _NS)
    return f"{_second(seconds)}.{nanoseconds:09d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """A whole second; the records of one batch share a few."""
    moment = dt.datetime.fromtimestamp(seconds, dt.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


_LAST_NS = 253_402_300_799 * _NS  # the end of the year 9999


def number(value: float) -> "int | float":
    """*value* as an int when it is a whole number that a float holds exactly.

    Example:
        >>> number(3.0), number(0.5)
        (3, 0.5)

    """
    if -_EXACT < value < _EXACT and value == int(value):
        return int(value)
    return value


def encodable(text: str) -> str:
    r"""*text* with a question mark for each half of a surrogate pair.

    Example:
        >>> encodable("ü\ud800")
        'ü?'

    """
    return text.encode("utf-8", "replace").decode()


def word(value: AttributeValue) -> str:
    """An attribute's value as one text; the parts of a list joined by semicolons.

    Example:
        >>> word(True), word(("a", 1)), word(0.5)
        ('true', 'a;1', '0.5')

    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    return ";".join(word(item) for item in value)


def host_of(resource: Resource) -> str:
    """The host's name; empty when unknown."""
    return str(resource.attributes.get("host.name", ""))


def severity_word(severity: int) -> str:
    """OpenTelemetry's short name of a severity number.

    Example:
        >>> severity_word(9), severity_word(18), severity_word(0)
        ('INFO', 'ERROR2', '')

    """
    if not 1 <= severity <= len(_SEVERITIES) * 4:
        return ""
    step = (severity - 1) % 4
    return _SEVERITIES[(severity - 1) // 4] + (str(step + 1) if step else "")


_SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def word_of(words: "tuple[str, ...]", position: int) -> str:
    """``words[position]``, or the number itself where there is no word for it."""
    return words[position] if 0 <= position < len(words) else str(position)


def visible(text: str) -> str:
    r"""*text* with everything that cannot be printed escaped; one line, no tricks.

    Example:
        >>> visible("a\nb\x1b[31m")
        'a\\nb\\x1b[31m'

    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii")
        for c in text
    )
