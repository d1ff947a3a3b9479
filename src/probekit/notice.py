"""One line per cause and minute to the logger ``probekit``; never more, never a print.

Everything that goes wrong inside probekit is told here, because we live in other
people's processes: quiet, bounded, and never raising.
"""

import time

INTERVAL_S = 60.0
_CAUSES_LIMIT = 256

_last_told_s: "dict[str, float]" = {}


def notice(cause: str, message: str) -> bool:
    """Log *message* as a warning, unless *cause* was told less than a minute ago.

    Args:
        cause: A short constant word for the kind of trouble, such as
            ``"segment-write"``; not a text with numbers in it.
        message: What happened and what follows from it; what looks like a secret
            is taken out of it here too, for errors may quote anything.

    Returns:
        True when the line was logged.

    Threads:
        Any thread; the ``logging`` module is imported at the first notice.

    """
    now_s = time.monotonic()
    last_s = _last_told_s.get(cause)
    if last_s is not None and now_s - last_s < INTERVAL_S:
        return False
    if len(_last_told_s) >= _CAUSES_LIMIT:
        _last_told_s.clear()
    _last_told_s[cause] = now_s
    try:
        import logging

        from probekit.scrub import Scrubber

        logger = logging.getLogger("probekit")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.warning("%s", Scrubber().text(message))
    except Exception:  # a host's broken log handler is not ours to report
        return False
    return True
