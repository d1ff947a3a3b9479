"""What ClickHouse's answers mean: its own codes say more than HTTP's statuses."""

import re

from probekit.errors import ExportError, Forbidden, Rejected, RetryLater, TooLarge
from probekit.exporters.transport.answer import Answer
from probekit.exporters.transport.http import HttpTransport

# Cannot parse, type mismatch, too long, constraint violated, value out of range.
_REJECTED = frozenset(
    {6, 8, 25, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131, 190, 321, 441, 469}
)
# Users, passwords, rights, read-only.
_FORBIDDEN = frozenset({164, 192, 193, 194, 195, 291, 492, 497, 516})
_TOO_LARGE = frozenset({241, 307})  # memory, bytes
# No such column, table or database: somebody changed the place, not the records.
MISSING = frozenset({16, 60, 81})
_CODE = re.compile(r"Code: (\d+)")
_BAD_REQUEST = 400


def code_of(answer: Answer) -> "int | None":
    """ClickHouse's code in *answer*; None when it has none.

    Example:
        >>> code_of(Answer(500, {"x-clickhouse-exception-code": "252"}))
        252
        >>> code_of(Answer(400, body=b"Code: 27, e.displayText() = ..."))
        27

    """
    told = answer.headers.get("x-clickhouse-exception-code", "")
    found = _CODE.match(answer.body.decode("utf-8", "replace"))
    text = told or (found[1] if found else "")
    return int(text) if text.isascii() and text.isdigit() else None


def refusal(
    transport: HttpTransport, answer: Answer, records: int
) -> "ExportError | None":
    """The error that stands for *answer*; None when the rows are stored."""
    code = code_of(answer)
    error = transport.refusal(answer, records=records)
    if code is None:
        return error
    reason = str(error) if error else f"code {code} from {transport.where}"
    if code in _FORBIDDEN:
        return Forbidden(reason)
    if code in _TOO_LARGE:
        return TooLarge(reason)
    bad_request = answer.status == _BAD_REQUEST and code not in MISSING
    rejected = bad_request or code in _REJECTED
    return Rejected(reason) if rejected else RetryLater(reason)
