"""What the HTTP clients share: ``http.client.request.duration`` and its attributes.

Of an address the figures have scheme, host and port. Spans also have ``url.full``, as
OpenTelemetry's conventions want it: without user, password and fragment, its query's
values redacted, what else looks like a secret scrubbed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from probekit.integrations.http import known_method
from probekit.integrations.libraries.figures import Durations, Names, Pairs, told
from probekit.integrations.libraries.layer import HTTP, Layer, enter
from probekit.integrations.libraries.operation import UNCOUNTED, Operation, Uncounted
from probekit.model import AttributeValue
from probekit.scrub.address import without_values

_DURATIONS = Durations(
    "http.client.request.duration",
    "Duration of HTTP client requests.",
)
_HOSTS = Names(200)
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_LEAST_STATUS, _LEAST_ERROR, _MOST_STATUS = 100, 400, 999


class Target(NamedTuple):
    """Whom a request goes to.

    Attributes:
        method: As the application wrote it.
        scheme: ``http`` or ``https``.
        host: Name or address, without a port.
        port: None for the scheme's own.
        url: The address, as text or as what says it when asked for its text.
    """

    method: str
    scheme: str
    host: str
    port: "int | None"
    url: object = ""


def target_of(method: object, url: object) -> Target:
    """Read scheme, host and port off an absolute *url*.

    Example:
        >>> address = "https://me:secret@shop.test/cart?card=4111"
        >>> found = target_of("get", address)
        >>> found[:4], found.url == address
        (('GET', 'https', 'shop.test', None), True)

    """
    text = url.decode("latin-1") if isinstance(url, bytes) else str(url)
    parts = urlsplit(text)
    host = parts.hostname or ""
    return Target(str(method).upper(), parts.scheme, host, parts.port, text)


class Exchange(Operation):
    """A request that is being timed.

    Attributes:
        status: Three digits once the answer is there, else 0.
    """

    __slots__ = ("status",)

    def __init__(
        self, layer: Layer, pairs: Pairs, library: str, url: object = ""
    ) -> None:
        """Start the clock; *url* is for the span."""
        super().__init__(layer, _DURATIONS, pairs, library)
        self.status = 0
        if self._span is not None:
            self._address(url)

    def _address(self, url: object) -> None:
        try:
            text = without_values(str(url))
        except Exception as error:  # the library's own object
            told(self._library, error)
            return
        if text and self._span is not None:
            self._span.describe("", {"url.full": text})

    def span_name(self, attributes: "dict[str, AttributeValue]") -> str:
        """Name of the request's span: its method; addresses are too many."""
        return str(attributes["http.request.method"])

    def answered(self, response: object, attribute: str) -> None:
        """Take the status from *response*; a response that has none is no error."""
        try:
            status = getattr(response, attribute)
        except Exception as error:
            told(self._library, error)
            return
        if isinstance(status, int) and _LEAST_STATUS <= status <= _MOST_STATUS:
            self.status = int(status)

    def outcome(self, failed: "type[BaseException] | None") -> Pairs:
        """Add status and error; a status of 400 and above is an error, its own name."""
        if not self.status:
            return super().outcome(failed)
        status = ("http.response.status_code", self.status)
        if self.status >= _LEAST_ERROR:
            return (*self.pairs, status, ("error.type", str(self.status)))
        return (*super().outcome(failed), status)


def begin(
    library: str,
    describe: "Callable[..., Target | None]",
    *facts: Any,
) -> "Exchange | Uncounted":
    """Start timing one request; never raises.

    Args:
        library: For the logger, when recording fails.
        describe: Called with *facts*; says the target, or None for one that is no
            HTTP request.
        facts: What the library's function was called with.

    Returns:
        A context manager: the request, or a stand-in when it is counted elsewhere.

    """
    layer = enter(HTTP)
    if layer is None:
        return UNCOUNTED
    try:
        target = describe(*facts)
        if target is not None:
            return Exchange(layer, _pairs(target), library, target.url)
    except Exception as error:
        if not isinstance(error, ValueError):  # an address that the library refuses too
            told(library, error)
        return Exchange(layer, (("http.request.method", "_OTHER"),), library)
    layer.close()
    return UNCOUNTED


def _pairs(target: Target) -> Pairs:
    pairs: Pairs = (
        ("http.request.method", known_method(target.method)),
        ("url.scheme", target.scheme if target.scheme in _PORTS else "_OTHER"),
    )
    host = _HOSTS.bounded(target.host) if target.host else ""
    if host:
        pairs = (*pairs, ("server.address", host))
    port = target.port or _PORTS.get(target.scheme)
    if port and host and host != "_OTHER":
        pairs = (*pairs, ("server.port", port))
    return pairs
