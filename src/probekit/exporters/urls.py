"""An exporter's URL, parsed once: where to, and which options.

Comes here: every factory of an exporter. Promises never to show userinfo or the
values of a query: ``repr``, ``str`` and errors hold scheme, hosts and path only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from probekit.errors import ConfigError
from probekit.exporters.options import Options

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.IGNORECASE)
_HOST = re.compile(r"(?:\[[0-9a-f:.%a-z]+\]|[^\s\[\]:/?#@,]+)", re.IGNORECASE)
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Target:
    """Where an exporter sends to.

    Attributes:
        scheme: Lower case, ``otlp``, ``statsd+tcp``.
        hosts: (host, port) in the order given; the port is None where none stood.
        path: From the first slash on, percent-decoded; may be empty.
        query: Name → value, percent-decoded; a plus sign stays a plus sign.
        user: From the userinfo; empty when none.
        password: From the userinfo; empty when none.
        url: The text as given, for backends whose library parses it itself.
    """

    scheme: str
    hosts: "tuple[tuple[str, int | None], ...]" = ()
    path: str = ""
    query: "Mapping[str, str]" = field(default_factory=dict, repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    url: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Parse *url*.

        Args:
            url: ``scheme://user:password@host:port,host:port/path?name=value``;
                every part after the scheme may be missing.

        Raises:
            ConfigError: The text is no URL, a host is empty, or a port is not a
                number from 1 to 65535.

        Example:
            >>> Target.parse("tcp://a:1,b:2/x?tls=1")
            Target(scheme='tcp', hosts=(('a', 1), ('b', 2)), path='/x')

        """
        _refuse_unprintable(url)
        scheme, rest = scheme_of(url), url.partition(":")[2]
        body, _, query = rest.partition("?")
        authority, path = "", body
        if body.startswith("//"):
            authority, slash, path = body[2:].partition("/")
            path = slash + path
        elif "@" in body and scheme_of(url) != "file":
            raise ConfigError(
                f"exporters: {redacted(url)} wants two slashes before its host",
            )
        userinfo, at, places = authority.rpartition("@")
        user, _, password = userinfo.partition(":")
        shown = redacted(url)
        return cls(
            scheme=scheme,
            hosts=_hosts(places, shown) if places or at else (),
            path=unquote(path),
            query=_query(query, shown),
            user=unquote(user),
            password=unquote(password),
            url=url,
        )

    def __str__(self) -> str:
        """The URL without userinfo and query, for people and logs."""
        if not self.hosts:
            return f"{self.scheme}:{'//' if self.path else ''}{self.path}"
        places = ",".join(
            host if port is None else f"{host}:{port}" for host, port in self.hosts
        )
        return f"{self.scheme}://{places}{self.path}"

    def addresses(self, default_port: "int | None") -> "tuple[tuple[str, int], ...]":
        """The hosts with a port each; brackets of IPv6 literals removed.

        Raises:
            ConfigError: No host was given, or a port is missing and has no default.

        """
        if not self.hosts:
            raise ConfigError(f"exporters: {self} names no host")
        found = []
        for host, port in self.hosts:
            chosen = default_port if port is None else port
            if chosen is None:
                raise ConfigError(f"exporters: {self} names no port for {host!r}")
            found.append((host.strip("[]"), chosen))
        return tuple(found)

    def options(self) -> Options:
        """A reader of the query with typed getters; ask it all, then ``finish``."""
        return Options(self.query, str(self))


def scheme_of(url: str) -> str:
    """The scheme of *url* in lower case; empty when it has none.

    Example:
        >>> scheme_of("OTLP://h"), scheme_of("just text")
        ('otlp', '')

    """
    head, colon, _ = url.partition(":")
    return head.lower() if colon and _SCHEME.fullmatch(head) else ""


def redacted(url: str) -> str:
    """*url* as it may be shown: no userinfo, no query.

    A password with an unescaped slash makes the authority end too early; then the
    whole rest is left out, because nobody can say what of it is secret.

    Example:
        >>> redacted("tcp://user:secret@h:1/x?token=t"), redacted("tcp://u:s/x@h:1")
        ('tcp://h:1/x', 'tcp://…')

    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        head = url.partition("?")[0]
        return head.partition(":")[0] + ":…" if "@" in url else head
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        rest = authority.rpartition("@")[2] + rest[len(authority) :]
    elif "@" in rest and not _well_formed(authority):
        return f"{scheme}://…"
    return f"{scheme}://{rest.partition('?')[0]}"


def _well_formed(authority: str) -> bool:
    try:
        _hosts(authority, "")
    except ConfigError:
        return False
    return True


def _hosts(places: str, shown: str) -> "tuple[tuple[str, int | None], ...]":
    return tuple(_host(place, shown) for place in places.split(","))


def _host(place: str, shown: str) -> "tuple[str, int | None]":
    match = _HOST.match(place)
    if match is None:
        raise ConfigError(f"exporters: {shown} has an empty or malformed host")
    host, rest = match.group(), place[match.end() :]
    if not rest:
        return host, None
    digits = rest[1:]
    if (
        rest[0] != ":"
        or not digits.isascii()
        or not digits.isdigit()
        or len(digits) > 5  # noqa: PLR2004 - a port has at most five digits
        or not 1 <= int(digits) <= _HIGHEST_PORT
    ):
        raise ConfigError(
            f"exporters: the port in {shown} is not a number from 1 to 65535",
        )
    return host, int(digits)


def _query(query: str, shown: str) -> "dict[str, str]":
    found: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise ConfigError(
                f"exporters: the query of {shown} must be name=value pairs "
                f"joined by '&'",
            )
        if name in found:
            raise ConfigError(f"exporters: {shown} gives {name!r} twice")
        found[unquote(name)] = unquote(value)
    return found


def _refuse_unprintable(url: str) -> None:
    if not url.isprintable() or "#" in url:
        raise ConfigError(
            f"exporters: {redacted(url)!r} holds '#' or characters that cannot be "
            f"printed; write them percent-encoded (%23)",
        )
