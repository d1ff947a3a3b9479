"""One line per cause and minute to the logger ``probekit``; never more, never a print.

Everything that goes wrong inside probekit is told here, because we live in other
people's processes: quiet, bounded, and raising nothing of ours (``passing`` has what is
the application's own).
"""

import time

from probekit.passing import let_pass

INTERVAL_S = 60.0
_CAUSES_LIMIT = 256
_WORDS_LIMIT = 200  # characters of an error

_last_told_s: "dict[str, float]" = {}


def notice(cause: str, message: str, error: "Exception | None" = None) -> bool:
    """Log *message* as a warning, unless *cause* was told less than a minute ago.

    Args:
        cause: A short constant word for the kind of trouble, such as
            ``"segment-write"``; not a text with numbers in it.
        message: What happened and what follows from it; what looks like a secret
            is taken out of it here too, for errors may quote anything.
        error: What went wrong, put into words behind *message*; those of the
            application may fail at that, so nobody else should try.

    Returns:
        True when the line was logged.

    Raises:
        BaseException: What is being handled is none of our failures: the application's
            signal handler raised it while our code ran (``passing``).

    Threads:
        Any thread; the ``logging`` module is imported at the first notice.

    """
    let_pass()
    now_s = time.monotonic()
    last_s = _last_told_s.get(cause)
    if last_s is not None and now_s - last_s < INTERVAL_S:
        return False
    if len(_last_told_s) >= _CAUSES_LIMIT:
        _last_told_s.clear()
    _last_told_s[cause] = now_s
    try:
        import logging

        from probekit.scrub.rules import cleaned

        logger = logging.getLogger("probekit")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        told = message if error is None else f"{message}: {in_words(error)}"
        logger.warning("%s", cleaned(told))
    except Exception as failure:  # a host's broken log handler is not ours to report
        let_pass(failure)
        return False
    return True


def in_words(error: BaseException) -> str:
    """Name an exception and what it says; never fails, whatever its ``__str__`` does.

    Example:
        >>> in_words(ValueError("no such route"))
        'ValueError: no such route'

    """
    try:
        return f"{type(error).__name__}: {error}"[:_WORDS_LIMIT]
    except Exception as failure:  # the application's own __str__ may do anything
        let_pass(failure)
        return type(error).__name__
