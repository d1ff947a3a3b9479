"""What an HTTP answer means: a table of statuses, and the time to wait.

The table is data. A backend with habits of its own hands a copy with other entries to
its transport: ``{**VERDICTS, 500: "retry"}``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from probekit.errors import ExportError, Forbidden, Rejected, RetryLater, TooLarge

Verdict: TypeAlias = Literal[
    "accepted", "retry", "too_large", "rejected", "forbidden", "dropped"
]

VERDICTS: "Mapping[int, Verdict]" = {
    400: "rejected",
    401: "forbidden",
    403: "forbidden",
    404: "forbidden",
    408: "retry",
    413: "too_large",
    429: "retry",
    502: "retry",
    503: "retry",
    504: "retry",
}
LONGEST_WAIT_S = 3600.0
_WORDS_LIMIT = 200
_OK, _REDIRECT, _CLIENT_ERROR = 200, 300, 400


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, cut to what we are willing to hold.

    Attributes:
        status: The status code, 200 to 599.
        headers: Lower-case name → value; of repeated ones the first.
        body: At most 64 KiB.
        complete: False when the body was longer, broke off or came too slowly.
    """

    status: int
    headers: "Mapping[str, str]" = field(default_factory=dict)
    body: bytes = b""
    complete: bool = True

    @property
    def content_type(self) -> str:
        """Media type in lower case without parameters; empty when none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def words(self) -> str:
        """The body's first 200 printable characters on one line, for people."""
        text = self.body[: 4 * _WORDS_LIMIT].decode("utf-8", "replace")
        clean = "".join(c if c.isprintable() else " " for c in text)
        return " ".join(clean.split())[:_WORDS_LIMIT]


def verdict_on(status: int, table: "Mapping[int, Verdict]" = VERDICTS) -> Verdict:
    """What to do about *status*.

    A redirect is never followed: credentials would travel to a place that nobody
    configured; the address is wrong, so the data waits. What no table names is
    dropped with its reason, as the OTLP specification wants.

    Example:
        >>> verdict_on(204), verdict_on(302), verdict_on(503), verdict_on(500)
        ('accepted', 'forbidden', 'retry', 'dropped')

    """
    known = table.get(status)
    if known is not None:
        return known
    if _OK <= status < _REDIRECT:
        return "accepted"
    return "forbidden" if _REDIRECT <= status < _CLIENT_ERROR else "dropped"


def refusal(
    answer: Answer,
    verdict: Verdict,
    reason: str,
    *,
    records: "int | None" = None,
    now_unix_s: float = 0.0,
) -> "ExportError | None":
    """The error that stands for *verdict*; None when it is accepted.

    Args:
        answer: Its ``Retry-After`` is read.
        verdict: From :func:`verdict_on`.
        reason: For people; no secrets.
        records: How many records the request held; a dropped request counts them.
        now_unix_s: Wall clock, seconds, for a ``Retry-After`` that is a date.

    """
    if verdict == "accepted":
        return None
    if verdict == "retry":
        text = answer.headers.get("retry-after", "")
        return RetryLater(reason, retry_after_s(text, now_unix_s))
    if verdict == "too_large":
        return TooLarge(reason)
    if verdict == "forbidden":
        return Forbidden(reason)
    return Rejected(reason, records if verdict == "dropped" else None)


def retry_after_s(text: str, now_unix_s: float) -> "float | None":
    """Seconds that a ``Retry-After`` asks for, 0 to one hour; None if it says nothing.

    Args:
        text: Seconds or an HTTP date.
        now_unix_s: Wall clock, seconds since 1970.

    Example:
        >>> retry_after_s("7", 0.0), retry_after_s("-1", 0.0), retry_after_s("x", 0.0)
        (7.0, 0.0, None)
        >>> retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", 30.0)
        30.0

    """
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = _until(text, now_unix_s)
    if math.isnan(wait_s):
        return None
    return min(max(wait_s, 0.0), LONGEST_WAIT_S)


def _until(text: str, now_unix_s: float) -> float:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp() - now_unix_s
    except (TypeError, ValueError, IndexError, OverflowError):
        return math.nan


def from_stranger(answer: Answer, where: str) -> "RetryLater | None":
    """The error for a page that says "fine" (a login, a proxy); None for all else.

    Example:
        >>> page = Answer(200, {"content-type": "text/html; charset=utf-8"})
        >>> from_stranger(page, "h:1"), from_stranger(Answer(204), "h:1")
        (RetryLater('h:1 answered 200 with a page for people'), None)

    """
    if answer.content_type != "text/html":
        return None
    return RetryLater(f"{where} answered {answer.status} with a page for people")


def without(text: str, secrets: "Sequence[str]") -> str:
    """*text* with every secret in it replaced: a server may echo what we sent."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
