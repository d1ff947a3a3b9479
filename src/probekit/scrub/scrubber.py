"""The scrubber: built-in rules first, then the user's, never an exception."""

from collections.abc import Callable, Iterable, Mapping

from probekit.model import AttributeValue
from probekit.notice import notice
from probekit.patience import Patience
from probekit.scrub.address import without_values
from probekit.scrub.names import is_secret_name, joined
from probekit.scrub.patterns import REDACTED
from probekit.scrub.rules import cleaned

FAILED = "[not kept: scrubbing failed]"
_URL_NAMES = frozenset(
    {"url.full", "url.original", "http.url", "http.target", "url.query"}
)


class _NotKept(Exception):
    """A scrubber of the application's has failed, or has failed too often."""


class Scrubber:
    """Cleans texts, attributes and URLs before they are buffered.

    Args:
        deny_names: Further names whose values are never kept; spelling does not
            matter (``badge_number`` is ``BadgeNumber``).
        extra: Further scrubbers, text to text, called after the built-in rules. One
            that raises or returns no text makes the text a placeholder; after five
            times in a row none is asked for five minutes, and no text is kept.
        high_security: Masks also quoted literals, long numbers and opaque words, and
            cleans once more what the user's scrubbers return.
        enabled: False keeps everything as it is, unless *high_security*.

    Threads:
        Any thread.

    Example:
        >>> Scrubber().text("login failed: password=hunter2 for ann@example.org")
        'login failed: password=[redacted] for [redacted]'

    """

    __slots__ = ("_deny", "_enabled", "_extra", "_patience", "_strict")

    def __init__(
        self,
        *,
        deny_names: "Iterable[str]" = (),
        extra: "Iterable[Callable[[str], str]]" = (),
        high_security: bool = False,
        enabled: bool = True,
    ) -> None:
        """Keep the rules."""
        self._deny = frozenset(filter(None, map(joined, deny_names)))
        self._extra = tuple(extra)
        self._patience = Patience("scrub", "a scrubber (its text is not kept)")
        self._strict = high_security
        self._enabled = enabled or high_security

    def text(self, text: str) -> str:
        """Return *text* without what looks like a secret.

        Args:
            text: Free text; what is beyond 65,536 characters is cut off.

        Returns:
            The text itself when nothing had to go; never raises.

        """
        if not self._enabled:
            return text
        try:
            return self._cleaned(text)
        except _NotKept:
            return FAILED
        except Exception as error:
            self._let_pass(error)
            notice("scrub", "a scrubber failed; the text is not kept")
            return FAILED

    def attributes(
        self, attributes: "Mapping[str, AttributeValue]"
    ) -> "dict[str, AttributeValue]":
        """Return a copy: values under secret names masked, other texts cleaned.

        Numbers and booleans keep their type; a number under a secret name is masked.
        """
        if not self._enabled:
            return dict(attributes)
        try:
            return {
                name: self._value(name, value) for name, value in attributes.items()
            }
        except _NotKept:
            return {}
        except Exception as error:
            self._let_pass(error)
            notice("scrub", "a scrubber failed; the attributes are not kept")
            return {}

    def url(self, url: str) -> str:
        """Return *url* without user, password, fragment and query values."""
        if not self._enabled:
            return url
        try:
            return self._cleaned(without_values(url))
        except _NotKept:
            return FAILED
        except Exception as error:
            self._let_pass(error)
            notice("scrub", "a scrubber failed; the URL is not kept")
            return FAILED

    def is_secret(self, name: str) -> bool:
        """Say whether values under *name* are never kept."""
        return is_secret_name(name, self._deny)

    def _let_pass(self, error: Exception) -> None:
        """Raise what says nothing about the rules.

        The built-in ones do not recurse: the caller stands at the end of its stack,
        and whoever recorded there will ask again from a better place.
        """
        if isinstance(error, RecursionError) and not self._extra:
            raise error

    def _value(self, name: str, value: AttributeValue) -> AttributeValue:
        if isinstance(value, bool):
            return value
        if self.is_secret(name):
            return REDACTED
        if isinstance(value, str):
            return self.url(value) if name in _URL_NAMES else self.text(value)
        if isinstance(value, (list, tuple)):
            cleaned = [
                self.text(each) if isinstance(each, str) else each for each in value
            ]
            return cleaned if isinstance(value, list) else tuple(cleaned)
        return value

    def _cleaned(self, text: str) -> str:
        text = cleaned(text, self._deny, strict=self._strict)
        return self._by_user(text) if self._extra else text

    def _by_user(self, text: str) -> str:
        if not self._patience.allows():
            raise _NotKept
        try:
            for scrubber in self._extra:
                text = scrubber(text)
                if type(text) is not str:
                    raise TypeError("a scrubber must return text")
        except RecursionError:  # the end of the stack is not the scrubber's fault
            raise
        except Exception as error:
            # Told without its message, which may quote the text.
            self._patience.failed(_NotKept(type(error).__name__))
            raise _NotKept from None
        self._patience.worked()
        if self._strict:  # a scrubber may not put back what was taken out
            text = cleaned(text, self._deny, strict=True)
        return text
