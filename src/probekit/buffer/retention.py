"""How long data is kept, and what goes first when there is too much."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """Limits of one buffer.

    Attributes:
        max_bytes: Most bytes of the file and its write-ahead log.
        max_age_s: Undelivered data older than this is dropped as ``expired``, seconds.
        tail_s: Delivered windows are kept at full resolution for so long, seconds.
        keep_s: Delivered data is kept (rolled up beyond the tail) for so long, seconds.
    """

    max_bytes: int = 64 << 20
    max_age_s: float = 7 * 86_400.0
    tail_s: float = 900.0
    keep_s: float = 86_400.0
