"""What a gRPC status means, and the wait that a server asks for; pure, as data."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from probekit.errors import ExportError, Forbidden, Rejected, RetryLater, TooLarge
from probekit.exporters.otlp.protobuf import FieldValue, fields
from probekit.exporters.transport.answer import LONGEST_WAIT_S

Verdict: TypeAlias = Literal["retry", "retry if asked", "forbidden", "rejected"]

# As the protocol has it; what is not named is refused for ever.
VERDICTS: "Mapping[str, Verdict]" = {
    "CANCELLED": "retry",
    "DEADLINE_EXCEEDED": "retry",
    "ABORTED": "retry",
    "OUT_OF_RANGE": "retry",
    "UNAVAILABLE": "retry",
    "DATA_LOSS": "retry",
    "RESOURCE_EXHAUSTED": "retry if asked",
    "UNAUTHENTICATED": "forbidden",
    "PERMISSION_DENIED": "forbidden",
    "UNIMPLEMENTED": "forbidden",
}
_TOO_LARGE = ("larger than max", "message length too large", "message too large")
_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


def as_export_error(name: str, words: str, details: bytes, where: str) -> ExportError:
    """The error that stands for a status.

    Args:
        name: ``UNAVAILABLE``.
        words: The server's message.
        details: The trailer ``grpc-status-details-bin``; may be empty.
        where: The far side, without secrets.

    """
    reason = f"gRPC {name} from {where}: {words[:200]}"
    if any(sign in words.lower() for sign in _TOO_LARGE):
        return TooLarge(reason)
    wait_s = retry_delay_s(details)
    verdict = VERDICTS.get(name, "rejected")
    if verdict == "retry" or (verdict == "retry if asked" and wait_s is not None):
        return RetryLater(reason, wait_s)
    if verdict == "retry if asked":
        return TooLarge(reason)  # no wait is asked for: perhaps less is welcome
    return Forbidden(reason) if verdict == "forbidden" else Rejected(reason)


def retry_delay_s(details: bytes) -> "float | None":
    """Seconds of the ``RetryInfo`` in a ``google.rpc.Status``; None if it has none."""
    try:
        for number, value in fields(details):
            if number == 3 and isinstance(value, bytes):  # noqa: PLR2004 - Status.details
                found = dict(fields(value))
                if found.get(1) == _RETRY_INFO:
                    return _delay_s(found.get(2, b""))
    except ValueError:
        return None
    return None


def _delay_s(retry_info: FieldValue) -> "float | None":
    inner = dict(fields(retry_info)) if isinstance(retry_info, bytes) else {}
    duration = inner.get(1, b"")
    if not isinstance(duration, bytes):
        return None
    parts = dict(fields(duration))
    seconds, nanoseconds = parts.get(1, 0), parts.get(2, 0)
    if isinstance(seconds, bytes) or isinstance(nanoseconds, bytes):
        return None
    if seconds >= 1 << 63:
        return 0.0
    return min(seconds + nanoseconds / 1e9, LONGEST_WAIT_S)
