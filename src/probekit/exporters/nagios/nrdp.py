"""Results to NRDP over HTTP: it answers how many it has put into Nagios' spool."""

import re
from collections.abc import Sequence
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from probekit.errors import ExportError, Forbidden, Rejected, RetryLater
from probekit.exporters.nagios.results import Result
from probekit.exporters.transport.answer import without
from probekit.exporters.transport.http import HttpTransport

# Not allowed in XML 1.0, however it is written.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]+")
_STATUS = re.compile(r"<status>\s*(-?\d+)\s*</status>")
_MESSAGE = re.compile(r"<message>([^<]*)</message>")
_PROCESSED = re.compile(r"(\d+) checks? processed")
_WRONG_DOOR = re.compile(r"TOKEN|USER|AUTHENTICATED|HTTPS|INSTANCE|DISABLED|ENABLED")


def document(host: str, results: "Sequence[Result]") -> str:
    """The results as XML, in the form that every version of NRDP reads; pure."""
    checks = "".join(
        "<checkresult type='service' checktype='1'>"
        f"<hostname>{_text(host)}</hostname>"
        f"<servicename>{_text(result.service)}</servicename>"
        f"<state>{result.code}</state><output>{_text(result.output)}</output>"
        "</checkresult>\n"
        for result in results
    )
    return f"<?xml version='1.0'?>\n<checkresults>\n{checks}</checkresults>\n"


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("_", text))


def judged(
    said: str, count: int, secrets: "Sequence[str]" = ()
) -> "ExportError | None":
    """What the answer's body means for *count* results; None when all were taken.

    Args:
        said: The body.
        count: How many results were sent.
        secrets: Not to be shown, should the answer repeat them.

    Example:
        >>> judged("<status>0</status><output>2 checks processed</output>", 2) is None
        True
        >>> judged("<status>-1</status><message>BAD TOKEN</message>", 2)
        Forbidden('NRDP says BAD TOKEN')

    """
    status, message = _STATUS.search(said), _MESSAGE.search(said)
    if status is None:
        return RetryLater("the answer is none of NRDP's")
    words = without(message.group(1)[:100] if message else "nothing", secrets)
    if status.group(1) != "0":
        if _WRONG_DOOR.search(words):
            return Forbidden(f"NRDP says {words}")
        if "BAD XML" in words:
            return Rejected(f"NRDP says {words}")
        return RetryLater(f"NRDP says {words}")
    processed = _PROCESSED.search(said)
    if processed is None or int(processed.group(1)) != count:
        return RetryLater(f"NRDP does not say that it took {count} results")
    return None


class Nrdp:
    """Posts results.

    Args:
        transport: Its base path is NRDP's own.
        token: One of ``authorized_tokens``.
    """

    __slots__ = ("_token", "_transport", "timeout_s")

    def __init__(self, transport: HttpTransport, token: str) -> None:
        """Open nothing yet."""
        self._transport = transport
        self._token = token
        self.timeout_s = transport.timeout_s

    @property
    def has_token(self) -> bool:
        """Whether there is a token; NRDP takes nothing without."""
        return bool(self._token)

    def send(self, host: str, results: "Sequence[Result]") -> None:
        """Return when NRDP has spooled every result.

        Raises:
            RetryLater, Forbidden, Rejected: See ``judged`` and the table of statuses.

        """
        form = {
            "token": self._token,
            "cmd": "submitcheck",
            "XMLDATA": document(host, results),
        }
        answer = self._transport.exchange(
            "POST",
            "/",
            urlencode(form).encode("ascii"),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        secrets = [self._token]
        error = self._transport.refusal(answer, words=without(answer.words(), secrets))
        said = answer.body.decode("utf-8", "replace")
        error = error or judged(said, len(results), secrets)
        if error is not None:
            raise error

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()
