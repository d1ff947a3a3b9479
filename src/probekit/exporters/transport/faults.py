"""Errors of sockets and TLS as errors of ours: what can the caller do about it?"""

import ssl

from probekit.errors import ExportError, Forbidden, RetryLater


def as_export_error(error: OSError, where: str) -> ExportError:
    """Translate what a socket raised.

    A certificate that does not verify, ours or theirs, is not cured by trying again
    soon: the data is kept and tried rarely. Everything else may pass.

    Args:
        error: What was caught.
        where: The far side, without secrets.

    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return Forbidden(f"{where}: certificate refused: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        reason = error.reason or type(error).__name__
        if "CERTIFICATE" in reason or reason.endswith("ALERT_UNKNOWN_CA"):
            return Forbidden(f"{where}: TLS: {reason}")
        return RetryLater(f"{where}: TLS: {reason}")
    if isinstance(error, TimeoutError):
        return RetryLater(f"{where} did not answer in time")
    return RetryLater(f"{where}: {error.strerror or type(error).__name__}")
