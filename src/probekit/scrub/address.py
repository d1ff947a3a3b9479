"""Addresses (URLs) without their secrets, in two strengths."""

import re

from probekit.scrub.names import is_secret_name

_MASK = "REDACTED"  # OpenTelemetry's word for it inside URLs
# A password may hold any sign, also those that end a host.
_USERINFO = re.compile(r"(?<=//)(?:[^/?#]*@|[^/?#@:]*:(?!\d{1,5}(?:[/?#]|$))[^@]*@)")
_PAIR = re.compile(r"([^&;=]+)(=?)([^&;]*)")
_SHOWN_LIMIT = 300


def redacted(url: str) -> str:
    """Show an address in a message: user, password and secret query values gone.

    Args:
        url: Any text; one that is no URL is returned as it is, shortened.

    Returns:
        The address, at most 300 characters; harmless query values stay readable.

    Example:
        >>> redacted("influxdb://me:geheim@db:8086/x?token=abc&precision=ms")
        'influxdb://db:8086/x?token=REDACTED&precision=ms'

    """
    head, mark, query = _parts(url)
    shown = head + mark + _PAIR.sub(_mask_secret, query)
    return shown if len(shown) <= _SHOWN_LIMIT else shown[:_SHOWN_LIMIT] + "…"


def without_values(url: str) -> str:
    """Drop user, password, fragment and every query value; keep the names.

    Example:
        >>> without_values("https://me:x@h/p?a=1&b#c")
        'https://h/p?a=REDACTED&REDACTED'

    """
    head, mark, query = _parts(url)
    return head + mark + _PAIR.sub(_mask_all, query)


def _parts(url: str) -> "tuple[str, str, str]":
    bare = _USERINFO.sub("", url, count=1).partition("#")[0]
    return bare.partition("?")


def _mask_secret(pair: "re.Match[str]") -> str:
    name, equals, value = pair.groups()
    if value and is_secret_name(name):
        return f"{name}{equals}{_MASK}"
    return pair[0]


def _mask_all(pair: "re.Match[str]") -> str:
    name, equals, value = pair.groups()
    if not equals:
        return _MASK
    return f"{name}={_MASK}" if value else f"{name}="
