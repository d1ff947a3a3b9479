"""The HTTP server behind ``prometheus://``: one path, few connections, short patience.

A forked child never listens: it closes the inherited socket at once, so that the port
is free for whoever leads next.
"""

import base64
import contextlib
import hmac
import http.server
import os
import socket
import ssl
import threading
import weakref
from collections.abc import Callable
from typing import ClassVar

from probekit._version import __version__
from probekit.exporters.prometheus.scrape import Scraped
from probekit.notice import notice
from probekit.thread import Thread

CONNECTIONS = 8
PATIENCE_S = 5.0
_BACKLOG = 16
_BREATH_S = 0.1

Answer = Callable[[str, str, str], Scraped]
_open: "weakref.WeakSet[Endpoint]" = weakref.WeakSet()
_hooked = False


class Endpoint:
    """Listens and answers; opened and closed as often as one likes.

    Args:
        address: Host and port; port 0 for any free one.
        answer: (method, ``Accept``, ``Accept-Encoding``) → the answer to ``/metrics``.
        credentials: ``user:password`` that a scraper must show; empty for none.
        tls: A server's context; None for plain text.

    Attributes:
        port: Where it listens; 0 while it does not.
    """

    def __init__(
        self,
        address: "tuple[str, int]",
        answer: Answer,
        *,
        credentials: str = "",
        tls: "ssl.SSLContext | None" = None,
    ) -> None:
        """Open nothing yet."""
        self.port = 0
        self._address = address
        self._tls = tls
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._breath = threading.Event()  # never set: it only waits
        self._listener: socket.socket | None = None
        self._handler = _handler(answer, credentials)

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def open(self) -> None:
        """Listen, on a daemon thread; harmless when it does already.

        Raises:
            OSError: The port cannot be had.
            RuntimeError: No thread could be started.

        """
        if self._listener is not None:
            return
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self._address)
            listener.listen(_BACKLOG)
            self._listener = listener
            Thread(self._listen, "probekit-prometheus", listener).start()
        except BaseException:
            self._listener = None
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        _remember(self)

    def close(self) -> None:
        """Stop listening; harmless when it does not."""
        listener, self._listener, self.port = self._listener, None, 0
        if listener is None:
            return
        with contextlib.suppress(OSError):  # wakes the thread that accepts
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    def abandon(self) -> None:
        """In a forked child: let go of the socket; the parent goes on listening."""
        listener, self._listener, self.port = self._listener, None, 0
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        if listener is not None:
            listener.close()

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                if listener.fileno() < 0 or self._listener is not listener:
                    return
                # A client that went away, or no descriptor for a moment: no hurry.
                self._breath.wait(_BREATH_S)
                continue
            if not self._slots.acquire(blocking=False):
                connection.close()
                continue
            try:
                Thread(
                    self._serve, "probekit-prometheus-scrape", connection, peer
                ).start()
            except RuntimeError:
                self._slots.release()
                connection.close()

    def _serve(self, connection: socket.socket, peer: object) -> None:
        try:
            with connection:
                connection.settimeout(PATIENCE_S)
                if self._tls is None:
                    self._handler(connection, peer, None)
                    return
                with self._tls.wrap_socket(connection, server_side=True) as wrapped:
                    self._handler(wrapped, peer, None)
        except OSError:
            pass  # the scraper's trouble: it asks again
        except Exception as error:
            notice("prometheus-scrape", f"a scrape failed: {type(error).__name__}")
        finally:
            self._slots.release()


def _remember(endpoint: Endpoint) -> None:
    global _hooked
    _open.add(endpoint)
    if not _hooked and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork_in_child)
        _hooked = True


def _after_fork_in_child() -> None:
    for endpoint in list(_open):
        endpoint.abandon()
    _open.clear()


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request for one connection."""

    server_version = f"probekit/{__version__}"
    sys_version = ""
    timeout = PATIENCE_S
    respond: ClassVar[Answer]
    credentials: ClassVar[str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the terminal is the application's."""

    def do_GET(self) -> None:
        self._reply(type(self).respond)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the base's protocol

    def _reply(self, respond: Answer) -> None:
        path = self.path.partition("?")[0]
        if not self._may_pass():
            found = Scraped(401, {"WWW-Authenticate": 'Basic realm="probekit"'})
        elif path not in {"/metrics", "/metrics/", "/"}:
            found = Scraped(404, {"Content-Type": "text/plain"}, b"see /metrics\n")
        elif path == "/":
            link = b'<!doctype html><a href="/metrics">metrics</a>\n'
            found = Scraped(200, {"Content-Type": "text/html; charset=utf-8"}, link)
        else:
            accept = ",".join(self.headers.get_all("Accept") or ())
            encodings = self.headers.get("Accept-Encoding") or ""
            found = respond(self.command, accept, encodings)
        self.send_response(found.status)
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(found.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.body)

    def _may_pass(self) -> bool:
        wanted = type(self).credentials
        if not wanted:
            return True
        want = b"Basic " + base64.b64encode(wanted.encode())
        got = (self.headers.get("Authorization") or "").encode("utf-8", "replace")
        return hmac.compare_digest(want, got)


def _handler(answer: Answer, credentials: str) -> "Callable[..., object]":
    fields = {"respond": staticmethod(answer), "credentials": credentials}
    return type("Handler", (_Handler,), fields)
