"""Rules for names as data, and the guard that keeps two series from becoming one.

Each backend allows other characters. A ``Naming`` says which; ``Names`` remembers what
came out for whom, and gives the second of two that would be the same a short hash.
"""

import hashlib
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from probekit.notice import notice

_LIMIT_NAMES = 50_000
_DIGESTS = 6, 12, 24  # hex digits, until nobody else has the name


@dataclass(frozen=True, slots=True)
class Naming:
    """How one backend wants a kind of name.

    Attributes:
        forbidden: Matches each run of characters that must go.
        replacement: Stands for a run.
        prefix: Put before every name.
        limit: Most characters of the result, the prefix included; 0 for no limit.
        lower: True to fold to lower case.
    """

    forbidden: "re.Pattern[str]"
    replacement: str = "_"
    prefix: str = ""
    limit: int = 0
    lower: bool = False

    def of(self, text: str) -> str:
        """*text* as the backend allows it; never empty.

        Example:
            >>> Naming(re.compile("[^a-z.]+"), prefix="app.").of("cart value")
            'app.cart_value'

        """
        clean = self.forbidden.sub(self.replacement, text) or self.replacement
        clean = self.prefix + (clean.lower() if self.lower else clean)
        return clean[: self.limit] if self.limit else clean


class Names:
    """Remembers which original each translated name stands for."""

    __slots__ = ("_limit", "_owners")

    def __init__(self, limit: int = 0) -> None:
        """Start empty.

        Args:
            limit: Most characters of a name that got a hash; 0 for no limit.

        """
        self._limit = limit
        self._owners: dict[str, Hashable] = {}

    def unique(self, translated: str, original: Hashable) -> str:
        """*translated*, with a hash of *original* if another one has that name already.

        Args:
            translated: What the backend would see.
            original: What it stands for; equal originals share a name.

        Example:
            >>> names = Names()
            >>> names.unique("a_b", "a b"), names.unique("a_b", "a:b")
            ('a_b', 'a_b_12c0fc')

        """
        if len(self._owners) >= _LIMIT_NAMES:
            self._owners.clear()
        if self._owners.setdefault(translated, original) == original:
            return translated
        notice(
            "name-collision",
            f"two series would both be called {translated!r}; one gets a hash",
        )
        digest = hashlib.blake2s(repr(original).encode("utf-8", "replace")).hexdigest()
        for length in _DIGESTS:
            suffix = "_" + digest[:length]
            end = self._limit - len(suffix) if self._limit else None
            marked = translated[:end] + suffix
            if self._owners.setdefault(marked, original) == original:
                break
        return marked

    def suffix(self, forms: "Sequence[str]", original: Hashable) -> str:
        """What to put behind a name of several forms so that none is another's.

        Args:
            forms: Everything that the backend would see of one series.
            original: What they stand for.

        Returns:
            Empty, or an underscore and a hash.

        Example:
            >>> names = Names()
            >>> names.suffix(["a.count", "a.sum"], "the histogram a")
            ''
            >>> names.suffix(["a.sum"], "the gauge a.sum")
            '_1e6b80'

        """
        for form in forms:
            unique = self.unique(form, original)
            if unique != form:
                return unique[len(form) :]
        return ""
