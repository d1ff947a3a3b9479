"""The built-in rules: what is taken out of any text; pure."""

import re

from probekit.scrub import patterns, signs
from probekit.scrub.cards import without_cards
from probekit.scrub.names import is_secret_name
from probekit.scrub.patterns import REDACTED

TEXT_LIMIT = 65_536
_HANGING_LIMIT = 4_096
_OPENING = re.compile(r"b?\\?[\"']")


def cleaned(
    text: str, deny: "frozenset[str]" = frozenset(), *, strict: bool = False
) -> str:
    """Return *text* without what looks like a secret.

    Args:
        text: What is beyond 65,536 characters is cut off.
        deny: Further names whose values are secret, as ``names.joined`` spells them.
        strict: Whether quoted literals, long numbers and opaque words go as well.

    Returns:
        The text itself when nothing had to go.

    """
    if len(text) > TEXT_LIMIT:
        text = _cut(text)
    text = _built_in(text, deny)
    return _strictly(text) if strict else text


def _built_in(text: str, deny: "frozenset[str]") -> str:
    if signs.named(text):
        text = _by_name(text, deny)
    lower = text.lower()
    if signs.credentials(lower):
        text = patterns.BEARER.sub(_keep_name, text)
        text = patterns.SQL.sub(_keep_name, text)
    if signs.tokens(text):
        text = patterns.JWT.sub(REDACTED, text)
        text = patterns.VENDOR.sub(REDACTED, text)
        text = patterns.HOOK.sub(REDACTED, text)
    if "@" in text:
        text = patterns.MAIL.sub(REDACTED, text)
    return without_cards(text) if signs.numbers(text) else text


def _by_name(text: str, deny: "frozenset[str]") -> str:
    if "-----BEGIN" in text:
        text = patterns.PEM.sub(REDACTED, text)
    if "://" in text:
        text = patterns.USERINFO.sub("", text)
    text = patterns.HEADER.sub(_keep_name, text)
    text = _masked(text, deny, patterns.NAME, patterns.VALUE)
    if "-" in text:
        text = _masked(text, deny, patterns.OPTION, patterns.VALUE)
    if "</" in text:
        text = _masked(text, deny, patterns.ELEMENT, patterns.CONTENT)
    return text


def _masked(
    text: str,
    deny: "frozenset[str]",
    names: "re.Pattern[str]",
    values: "re.Pattern[str]",
) -> str:
    kept: list[str] = []
    done = 0
    for found in names.finditer(text):
        if found.start() < done or not is_secret_name(found["name"], deny):
            continue
        value = values.match(text, found.end())
        if value is not None:
            opening, closing = _quotes(value[0])
            kept += [text[done : found.end()], opening, REDACTED, closing]
            done = value.end()
    return "".join(kept) + text[done:] if kept else text


def _quotes(value: str) -> "tuple[str, str]":
    """Quotation marks around *value*, so that what was JSON stays JSON."""
    opening = _OPENING.match(value)
    if opening is None:
        return "", ""
    return opening[0], opening[0].lstrip("b")


def _keep_name(found: "re.Match[str]") -> str:
    return f"{found['name']}{found['gap']}{REDACTED}"


def _mask_literal(found: "re.Match[str]") -> str:
    mark = found[0][0]
    return f"{mark}{REDACTED}{mark}"


def _strictly(text: str) -> str:
    text = patterns.LITERAL.sub(_mask_literal, text)
    text = patterns.OPAQUE.sub(REDACTED, text)
    return patterns.NUMBER.sub(REDACTED, text)


def _cut(text: str) -> str:
    """Cut at the limit and drop the word there: half a secret is still one."""
    kept = text[: TEXT_LIMIT - _HANGING_LIMIT]
    whole_words = text[len(kept) : TEXT_LIMIT].rsplit(None, 1)
    if len(whole_words) > 1:
        kept += whole_words[0]
    return f"{kept} … [{len(text) - len(kept)} characters cut off]"
