"""HTTP/1.1 requests with keep-alive, one total deadline, and no surprises.

Redirects are not followed, proxies and environment settings are not looked at, TLS is
always verified, an answer's body is read to 64 KiB. Exporters hand bytes in and get
an :class:`~probekit.exporters.transport.answer.Answer`, or an error that says what to
do. Secrets stand in headers only; they never reach an error or a ``repr``.
"""

import base64
import http.client
from collections.abc import Mapping

from probekit._version import __version__
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import ConfigError, ExportError, RetryLater
from probekit.exporters.options import Options
from probekit.exporters.transport.answer import (
    VERDICTS,
    Answer,
    Verdict,
    refusal,
    verdict_on,
    without,
)
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.dial import CONNECT_TIMEOUT_S, Dialer, Line
from probekit.exporters.transport.faults import as_export_error
from probekit.exporters.transport.tls import tls_from
from probekit.exporters.transport.wire import ANSWER_LIMIT_BYTES, Answered, Wire
from probekit.exporters.urls import Target

USER_AGENT = f"probekit/{__version__}"


class HttpTransport:
    """Requests to one backend over one connection.

    Args:
        dialer: Where to.
        base_path: Put before every request's path; no slash at its end.
        headers: Sent with every request; may hold secrets.
        verdicts: Status → what to do; see ``answer.VERDICTS``.
        timeout_s: For one request with all of its steps, seconds.
        clock: Deadlines, and the wall clock for ``Retry-After`` dates.
    """

    __slots__ = (
        "_clock",
        "_dialer",
        "_headers",
        "_line",
        "_secrets",
        "base_path",
        "timeout_s",
        "verdicts",
    )

    def __init__(
        self,
        dialer: Dialer,
        *,
        base_path: str = "",
        headers: "Mapping[str, str] | None" = None,
        verdicts: "Mapping[int, Verdict]" = VERDICTS,
        timeout_s: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Open nothing yet."""
        self._dialer = dialer
        self._line = Line(dialer)
        self._clock = clock
        self._headers = {"User-Agent": USER_AGENT, **(headers or {})}
        self._secrets = [
            word
            for name, value in (headers or {}).items()
            if name.lower() not in _OPEN_HEADERS
            for word in (value, value.rpartition(" ")[2])
            if word
        ]
        self.base_path = base_path.rstrip("/")
        self.verdicts = verdicts
        self.timeout_s = timeout_s
        _refuse_bad_headers(self._headers, self._dialer.where)

    @classmethod
    def from_options(
        cls,
        target: Target,
        options: Options,
        *,
        default_port: int,
        tls: bool = False,
        base_path: "str | None" = None,
        token_word: str = "Bearer",  # noqa: S107 - the word before a token
        verdicts: "Mapping[int, Verdict]" = VERDICTS,
    ) -> "HttpTransport":
        """Make a transport of what every HTTP exporter's URL may say.

        Reads ``timeout_s``, ``connect_timeout_s``, ``token``, ``header.NAME`` and the
        TLS options; userinfo becomes Basic authentication.

        Args:
            target: Hosts, path and userinfo.
            options: Its reader; the caller calls ``finish``.
            default_port: Where the URL has none.
            tls: Whether TLS is on without ``tls=``.
            base_path: Instead of the URL's path, when that means something else.
            token_word: The authorization scheme of ``token=``.
            verdicts: Status → what to do.

        """
        headers = options.prefixed("header.")
        token = options.text("token")
        if token:
            headers["Authorization"] = f"{token_word} {token}"
        elif target.user or target.password:
            pair = f"{target.user}:{target.password}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        timeout_s = options.seconds("timeout_s", 10.0, high=300.0)
        dialer = Dialer(
            target.addresses(default_port),
            connect_timeout_s=options.seconds(
                "connect_timeout_s",
                CONNECT_TIMEOUT_S,
                high=60.0,
            ),
            tls=tls_from(options, default=tls),
        )
        return cls(
            dialer,
            base_path=target.path if base_path is None else base_path,
            headers=headers,
            verdicts=verdicts,
            timeout_s=timeout_s,
        )

    @property
    def where(self) -> str:
        """The far side in words."""
        return self._dialer.where

    def deadline(self) -> Deadline:
        """A deadline of ``timeout_s`` from now, to share between several requests."""
        return Deadline(self.timeout_s, self.where, clock=self._clock)

    def post(
        self,
        path: str,
        body: bytes,
        headers: "Mapping[str, str] | None" = None,
        *,
        records: "int | None" = None,
        deadline: "Deadline | None" = None,
    ) -> Answer:
        """POST *body*; return the answer if the table says "accepted".

        Args:
            path: Below the base path, with a slash first; may hold a query.
            body: As it goes over the wire.
            headers: Added to the transport's own.
            records: How many records the body holds, for the books.
            deadline: A shared one; a new one when None.

        Raises:
            ExportError: What the table says about the status, or a network fault.

        """
        answer = self.exchange("POST", path, body, headers, deadline=deadline)
        error = self.refusal(answer, records=records)
        if error is not None:
            raise error
        return answer

    def refusal(
        self, answer: Answer, *, records: "int | None" = None, words: str = ""
    ) -> "ExportError | None":
        """What the table says about *answer*, as an error; None when accepted.

        Args:
            answer: From :meth:`exchange`.
            records: How many records the request held.
            words: The far side's words, where the exporter understands its body.

        """
        said = words or answer.words()
        reason = f"HTTP {answer.status} from {self.where}" + (
            f": {said}" if said else ""
        )
        return refusal(
            answer,
            verdict_on(answer.status, self.verdicts),
            self.without_secrets(reason),
            records=records,
            now_unix_s=self._clock.wall_ns() / 1e9,
        )

    def without_secrets(self, text: str) -> str:
        """*text* of the far side with our own credentials replaced."""
        return without(text, self._secrets)

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: "Mapping[str, str] | None" = None,
        *,
        deadline: "Deadline | None" = None,
    ) -> Answer:
        """Send a request and read its answer, whatever the status.

        Raises:
            RetryLater: No answer in time.
            Forbidden: A certificate was refused.

        Threads:
            One at a time; blocks up to the deadline.

        """
        within = deadline or self.deadline()
        merged = {**self._headers, **(headers or {})}
        while True:
            connection, used_before = self._line.open(within)
            try:
                return self._once(Wire(connection, within), method, path, body, merged)
            except (ConnectionError, http.client.HTTPException) as error:
                self._line.close()
                # An idle connection may die in the moment we use it: once more, fresh.
                if not (used_before and isinstance(error, ConnectionError)):
                    raise self._fault(error) from None
            except OSError as error:
                self._line.close()
                raise self._fault(error) from None
            except BaseException:
                self._line.close()
                raise

    def _fault(self, error: "OSError | http.client.HTTPException") -> ExportError:
        if isinstance(error, http.client.RemoteDisconnected):
            return RetryLater(f"{self.where} closed the connection without an answer")
        if isinstance(error, OSError):
            return as_export_error(error, self.where)
        return RetryLater(f"{self.where} does not speak HTTP ({type(error).__name__})")

    def _once(
        self,
        wire: Wire,
        method: str,
        path: str,
        body: bytes,
        headers: "Mapping[str, str]",
    ) -> Answer:
        host, port = self._dialer.host
        request = http.client.HTTPConnection(host, port)
        request.auto_open = 0  # the connection is ours; http.client must not open one
        request.sock = wire
        whole = self._write(request, method, self.base_path + path, body, headers)
        response = request.getresponse()
        try:
            answer = _read(response)
        finally:
            response.close()
        if response.will_close or not (whole and answer.complete):
            self._line.close()
        return answer

    @staticmethod
    def _write(
        request: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes,
        headers: "Mapping[str, str]",
    ) -> bool:
        try:
            request.putrequest(method, path or "/")
            for name, value in headers.items():
                request.putheader(name, value)
            request.putheader("Content-Length", str(len(body)))
            request.endheaders(body or None)
        except (Answered, BrokenPipeError, ConnectionResetError):
            return False  # the answer, if there is one, says why
        return True

    def close(self) -> None:
        """Close the connection."""
        self._line.close()


_OPEN_HEADERS = frozenset({"content-type", "content-encoding", "accept", "user-agent"})


def _read(response: http.client.HTTPResponse) -> Answer:
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        headers.setdefault(name.lower(), value)
    body, complete = b"", False
    try:
        body = response.read(ANSWER_LIMIT_BYTES + 1)
        complete = len(body) <= ANSWER_LIMIT_BYTES and response.isclosed()
        if not complete and len(body) <= ANSWER_LIMIT_BYTES:
            complete = not response.read(1)
    except (OSError, ExportError, http.client.HTTPException, ValueError):
        pass  # the status is known and decides; the rest of the body does not matter
    return Answer(response.status, headers, body[:ANSWER_LIMIT_BYTES], complete)


def _refuse_bad_headers(headers: "Mapping[str, str]", where: str) -> None:
    for name, value in headers.items():
        token = name.replace("-", "").replace("_", "").replace(".", "")
        if not (token.isascii() and token.isalnum()):
            raise ConfigError(f"exporters: {where}: {name!r} is no name of a header")
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(
                f"exporters: {where}: the value of header {name!r} holds characters "
                f"that are not printable ASCII",
            )
