"""Spans for the requests that middleware watches and the calls that libraries make.

Everything here costs one look at the registry while traces are off, and never raises.
"""

from collections.abc import Callable, Mapping
from typing import Any

from probekit.integrations.http import Answer, attributes_of, known_method
from probekit.notice import notice
from probekit.recording.registry import REGISTRY
from probekit.recording.seams import CallSpan

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5  # OpenTelemetry's numbers


def serve_request(
    method: str,
    scheme: str,
    path: str,
    header: "Callable[[str], str | None]",
) -> "CallSpan | None":
    """Open the span of a request: the caller's trace goes on, or one begins.

    Args:
        method: As the client wrote it.
        scheme: ``http`` or ``https``.
        path: Without a query; kept scrubbed.
        header: Gives a header's value by its lower-case name.

    Returns:
        The span, until :func:`end_request`; None while traces are off, and where
        another instrumentation has opened one.

    """
    tracing = REGISTRY.tracing
    if tracing is None:
        return None
    attributes = {
        "http.request.method": known_method(method),
        "url.scheme": scheme,
        "url.path": path,
    }
    return tracing.serve(known_method(method), SERVER, attributes, header)


def end_request(span: CallSpan, answer: Answer, *, leave: bool = True) -> None:
    """Close the span of a request, under the name that its route gives it.

    Its attributes are those of the request's duration: so it can be an example for it.

    Args:
        span: From :func:`serve_request`.
        answer: What became of the request.
        leave: False lets the span stay the current one, until ``span.leave()``.

    """
    try:
        attributes = attributes_of(answer)
        method, route = attributes["http.request.method"], answer[2]
        span.describe(f"{method} {route}" if route else str(method), attributes)
        error_type = str(attributes.get("error.type", ""))
        if leave:
            span.end(error_type=error_type)
        else:
            span.close(error_type=error_type)
    except Exception as error:
        notice("span-request", "the span of a request was not closed", error)


def call(
    name: str,
    attributes: Mapping[str, Any],
    *,
    kind: int = CLIENT,
    attach: bool = True,
) -> "CallSpan | None":
    """Open a span for a call that goes out, inside a trace that is being recorded.

    Args:
        name: Low in number: the method, the operation and its table.
        attributes: What is known by now.
        kind: ``CLIENT`` or ``PRODUCER``.
        attach: Whether it becomes the current one.

    Returns:
        The span; None outside of a recorded trace.

    """
    tracing = REGISTRY.tracing
    if tracing is None:
        return None
    return tracing.call(name, kind, attributes, attach=attach)


def environ_header(environ: "Mapping[str, Any]") -> "Callable[[str], str | None]":
    """Read headers out of a WSGI environ.

    Example:
        >>> environ_header({"HTTP_TRACESTATE": "a=1"})("tracestate")
        'a=1'

    """

    def header(name: str) -> "str | None":
        value = environ.get(f"HTTP_{name.upper().replace('-', '_')}")
        return value if isinstance(value, str) else None

    return header
