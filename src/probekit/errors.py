"""The error tree; nothing else.

```text
ProbekitError
├── ConfigError          a setting cannot be used; raised where it is set
│   └── MissingExtra     an optional package is not installed; names the extra
├── BadName              a name breaks the rules; raised at decoration
├── BufferFailed         the buffer cannot be used as it is
│   ├── BufferCorrupt    the file is not ours or fails its check; never deleted
│   └── BufferBusy       another process holds the write lock longer than we may wait
└── ExportError          a batch did not arrive
    ├── RetryLater       worth another try; may carry after_s
    ├── TooLarge         the far side wants smaller batches: halve and try again
    ├── Forbidden        credentials or address are wrong: keep the data, try rarely
    └── Rejected         never will be accepted, in part or as a whole
```

The split follows what a caller can do: mend the setting, wait, halve, give up.
"""


class ProbekitError(Exception):
    """Root of all errors that probekit raises."""


class ConfigError(ProbekitError):
    """A setting cannot be used; the text names the setting, its value and the rule."""


class MissingExtra(ConfigError):
    """An optional package is missing; the text names the extra that brings it."""


class BadName(ProbekitError, ValueError):
    """A name breaks the naming rules; the text names it and the rule."""


class BufferFailed(ProbekitError):
    """The buffer cannot be used as it is."""


class BufferCorrupt(BufferFailed):
    """The file is not a probekit buffer, or fails its check; it is set aside."""


class BufferBusy(BufferFailed):
    """Not now: another process holds the write lock, or a fork interrupted us."""


class ExportError(ProbekitError):
    """A batch did not arrive at its backend."""


class RetryLater(ExportError):
    """The batch may arrive later.

    Attributes:
        after_s: Seconds the far side asked us to wait, or None to use the backoff.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        """Keep the reason for people and the wait for the shipper."""
        super().__init__(reason)
        self.after_s = after_s


class TooLarge(ExportError):
    """The far side refuses a batch of this size; halve it and send both halves."""


class Forbidden(ExportError):
    """Credentials or address are wrong; the data stays, one probe every 5 minutes."""


class Rejected(ExportError):
    """The far side will never accept this batch, or some records of it.

    Attributes:
        reason: What the far side said, for people.
        count: Number of records it refused while taking the others, where it tells
            a number (OTLP partial success); None when the whole batch was refused,
            which the shipper then bisects.
    """

    def __init__(self, reason: str, count: int | None = None) -> None:
        """Keep the far side's words and the number of refused records."""
        super().__init__(reason)
        self.reason = reason
        self.count = count
