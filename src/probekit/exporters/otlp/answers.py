"""What an OTLP receiver says back: partial success, status, or no OTLP at all; pure."""

from dataclasses import dataclass

from probekit.exporters.otlp.protobuf import fields
from probekit.exporters.transport.answer import Answer

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class PartialSuccess:
    """The part of a request that was refused.

    Attributes:
        rejected: Records refused; 0 for a mere warning.
        message: The receiver's words; may be empty.
    """

    rejected: int = 0
    message: str = ""


def is_acknowledgement(answer: Answer) -> bool:
    """Whether a 2xx answer comes from an OTLP receiver.

    An empty body is a full success whatever its type; a login page is none.
    """
    return not answer.body or answer.content_type in {PROTOBUF, JSON}


def partial_success(answer: Answer) -> PartialSuccess:
    """Read the answer to an export; an unreadable one counts as a full success.

    The three responses have the same fields: ``partial_success`` (1) with the number
    of rejected records (1) and an error message (2).
    """
    if answer.content_type == JSON:
        return _from_json(answer.body)
    return from_protobuf(answer.body)


def from_protobuf(body: bytes) -> PartialSuccess:
    """Read the protobuf form of the answer to an export."""
    try:
        found = dict(fields(body))
        inner = found.get(1, b"")
        told = dict(fields(inner)) if isinstance(inner, bytes) else {}
    except ValueError:
        return PartialSuccess()
    rejected, message = told.get(1, 0), told.get(2, b"")
    return PartialSuccess(
        rejected if isinstance(rejected, int) and rejected < 1 << 63 else 0,
        message.decode("utf-8", "replace") if isinstance(message, bytes) else "",
    )


def status_words(answer: Answer) -> str:
    """The message of a ``google.rpc.Status`` body; empty when the body is none."""
    if answer.content_type == JSON:
        return _json_words(answer)
    if answer.content_type != PROTOBUF:
        return ""
    try:
        message = dict(fields(answer.body)).get(2, b"")
    except ValueError:
        return ""
    if not isinstance(message, bytes):
        return ""
    return Answer(answer.status, body=message).words()


def _json_words(answer: Answer) -> str:
    import json

    try:
        message = json.loads(answer.body)["message"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    return Answer(answer.status, body=str(message).encode("utf-8", "replace")).words()


def _from_json(body: bytes) -> PartialSuccess:
    import json

    try:
        document = json.loads(body)
        told = document.get("partialSuccess") or {}
        rejected = next(
            (int(value) for name, value in told.items() if name.startswith("rejected")),
            0,
        )
        return PartialSuccess(rejected, str(told.get("errorMessage", "")))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return PartialSuccess()
