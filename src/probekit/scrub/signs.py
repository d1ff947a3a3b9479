"""Quick looks at a text: could this group of patterns match at all?

Most texts end here, after about a microsecond. Substring searches are many times
cheaper than a pattern with alternatives. Each function may say yes wrongly, never no.
"""

import re

_DIGITS = re.compile("[2-6][0-9]{3}[ -]?[0-9]")
_LONG_WORD = re.compile("[^ ]{16}")


def named(text: str) -> bool:
    """Say whether a name could stand beside its value in *text*."""
    return (
        "=" in text
        or ":" in text
        or " -" in text
        or "--" in text
        or "</" in text
        or "'," in text
        or '",' in text
        or text.startswith("-")
    )


def credentials(lower: str) -> bool:
    """Say whether a text in lower case has a word that credentials follow."""
    return (
        "token" in lower
        or "bearer" in lower
        or "basic" in lower
        or "digest" in lower
        or "negotiate" in lower
        or "password" in lower
        or "identified" in lower
    )


def tokens(text: str) -> bool:
    """Say whether a word of *text* is as long as the shortest known token."""
    return _LONG_WORD.search(text) is not None


def numbers(text: str) -> bool:
    """Say whether *text* has a run of digits, as payment cards have."""
    return _DIGITS.search(text) is not None
