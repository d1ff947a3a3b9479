"""One problem: errors of one type at one place, counted exactly, sampled sparingly."""

from collections.abc import Mapping
from time import perf_counter

from probekit.hints import TYPE_CHECKING, Any, NamedTuple
from probekit.recording.errors.stack import Trail, text_of
from probekit.recording.thrift import SPARING_S

if TYPE_CHECKING:
    from probekit.model import Problem
    from probekit.recording.registry import Registry

BURST = 50  # samples of one problem at once
PER_SECOND = 1.0  # and afterwards
MESSAGE_LIMIT = 256


class Sample(NamedTuple):
    """One occurrence with its text, on the way to becoming an event."""

    time_unix_ns: int
    group: "Group"
    trails: "tuple[Trail, ...]"
    attributes: "Mapping[str, Any]"
    ids: "tuple[str, str]"
    severity: int


class Group:
    """One problem of this process.

    Attributes:
        type: Class name of the exception.
        signature: The application's frames; with the type, the identity.
        culprit: Innermost of them.
        times_s: When it occurred since the last fold, ``perf_counter()`` seconds.
        dry_until_s: No sample is taken before this moment.
        message: The newest sampled message.
        trails: The newest sampled stack.
    """

    __slots__ = (
        "_fingerprint",
        "_first_ns",
        "_folded",
        "_last_ns",
        "_refilled_s",
        "_sampled",
        "_tokens",
        "culprit",
        "dry_until_s",
        "message",
        "signature",
        "times_s",
        "trails",
        "type",
    )

    def __init__(self, type_: str, signature: "tuple[Any, ...]", culprit: str) -> None:
        """Start without occurrences, with a full bucket."""
        self.type = type_
        self.signature = signature
        self.culprit = culprit
        self.times_s: list[float] = []
        self.dry_until_s = 0.0
        self.message = ""
        self.trails: tuple[Trail, ...] = ()
        self._fingerprint = ""
        self._folded = 0
        self._sampled: list[None] = []
        self._first_ns = self._last_ns = 0
        self._tokens = float(BURST)
        self._refilled_s = 0.0

    @property
    def fingerprint(self) -> str:
        """16 hex digits over type and frames."""
        if not self._fingerprint:
            import hashlib

            text = "\n".join([self.type, *(".".join(n) for n in self.signature)])
            digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def may_sample(
        self, now_s: float, *, counted: bool = True, sparing: bool = False
    ) -> bool:
        """Take a token if there is one; a race may let one too many pass.

        Args:
            now_s: ``perf_counter()`` seconds.
            counted: Whether the occurrence is in ``times_s`` already, so that without
                a sample it is a loss.
            sparing: Whether the next one is to be a minute away at least.

        """
        if now_s < self.dry_until_s:
            return False
        tokens = self._tokens + (now_s - self._refilled_s) * PER_SECOND
        self._refilled_s = now_s
        self._tokens = min(tokens, float(BURST)) - 1.0
        if self._tokens < 1.0:
            self.dry_until_s = now_s + (1.0 - self._tokens) / PER_SECOND
        if sparing:
            self.dry_until_s = max(self.dry_until_s, now_s + SPARING_S)
        if counted:
            self._sampled.append(None)
        return True

    def fold(self, registry: "Registry") -> None:
        """Turn times into a count and two moments; under the registry's lock."""
        # Samples are counted first: their times were appended before them.
        sampled = len(self._sampled)
        del self._sampled[:sampled]
        length = len(self.times_s)
        times = self.times_s[:length]
        del self.times_s[:length]
        if length > sampled:
            registry.loss("events", "rate_limited", length - sampled)
        if times:
            # Moments are read from the fast clock and placed on the wall clock here.
            now_ns, now_s = registry.clock.wall_ns(), perf_counter()
            if not self._folded:
                self._first_ns = now_ns - int((now_s - min(times)) * 1e9)
            self._last_ns = now_ns - int((now_s - max(times)) * 1e9)
            self._folded += length

    def take(self, registry: "Registry") -> "Problem | None":
        """What occurred since the last call; under the registry's lock."""
        self.fold(registry)
        if not self._folded:
            return None
        from probekit.model import Problem

        count, self._folded = self._folded, 0
        scrub = registry.scrub
        return Problem(
            fingerprint=self.fingerprint,
            type=self.type,
            message=scrub.text(self.message)[:MESSAGE_LIMIT],
            culprit=self.culprit,
            stack=scrub.text(text_of(self.trails)),
            first_seen_unix_ns=self._first_ns,
            last_seen_unix_ns=self._last_ns,
            count=count,
        )

    def forget(self) -> None:
        """Drop occurrences; the bucket stays as it is."""
        del self.times_s[:]
        del self._sampled[:]
        self._folded = 0
