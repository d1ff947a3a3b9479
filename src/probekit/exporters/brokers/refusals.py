"""What a broker's error means; which error of which client, the clients say as data."""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from probekit.errors import ExportError, RetryLater
from probekit.exporters.transport.answer import without
from probekit.exporters.transport.faults import as_export_error as of_socket

# Name of a class of the client's → what to make of it; the nearest base class counts.
Verdicts: TypeAlias = "Mapping[str, Callable[[str], ExportError]]"
_WORDS_LIMIT = 200


def as_export_error(
    error: Exception, verdicts: Verdicts, where: str, secrets: "Sequence[str]" = ()
) -> ExportError:
    """The error of ours that *error* stands for; what no table names may pass.

    Args:
        error: As the client raised it.
        verdicts: The client's table.
        where: The broker in words, without secrets.
        secrets: Cut out of what the broker says.

    Example:
        >>> from probekit.errors import Forbidden
        >>> as_export_error(KeyError("k"), {"LookupError": Forbidden}, "redis://h:1")
        Forbidden("redis://h:1: KeyError: 'k'")

    """
    for cause in _causes(error):
        if isinstance(cause, ExportError):
            return cause
        if isinstance(cause, ssl.SSLError):
            return of_socket(cause, where)
    text = without(f"{where}: {type(error).__name__}: {_said(error)}", secrets)
    for kind in type(error).__mro__:
        made = verdicts.get(kind.__name__)
        if made is not None:
            return made(text)
    return RetryLater(text)


def of_words(
    words: "Mapping[str, Callable[[str], ExportError]]",
) -> "Callable[[str], ExportError]":
    """A verdict that looks for the first of *words* in what the broker said."""

    def judge(text: str) -> ExportError:
        found = (made for word, made in words.items() if word in text)
        return next(found, RetryLater)(text)

    return judge


def _causes(error: BaseException) -> "Iterator[BaseException]":
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _said(error: Exception) -> str:
    clean = "".join(c if c.isprintable() else " " for c in str(error))
    return " ".join(clean.split())[:_WORDS_LIMIT]
