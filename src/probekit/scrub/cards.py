"""Payment cards: digits that an issuer gives out and whose check digit is right."""

import re

from probekit.scrub.patterns import REDACTED

_LENGTHS = range(13, 20)
_SHORTEST = 13
# Every start is tried, also inside a longer run of groups of digits.
_START = re.compile(r"(?<![0-9.])(?=([2-6][0-9]{3}(?:[ -]?[0-9]){9,15}))")


def is_card(digits: str) -> bool:
    """Say whether *digits* are a payment card's number (Luhn's check).

    Example:
        >>> is_card("4111111111111111"), is_card("4111111111111112")
        (True, False)

    """
    if len(digits) not in _LENGTHS:
        return False
    numbers = [int(sign) for sign in digits]
    doubled = (sum(divmod(2 * number, 10)) for number in numbers[-2::-2])
    return (sum(numbers[-1::-2]) + sum(doubled)) % 10 == 0


def without_cards(text: str) -> str:
    """Mask the numbers of payment cards, with blanks or hyphens in them or not.

    Example:
        >>> without_cards("2026 4111-1111-1111-1111 12")
        '2026 [redacted] 12'

    """
    kept: list[str] = []
    done = 0
    for start in _START.finditer(text):
        if start.start() < done:
            continue
        length = _card_length(start[1], text[start.end(1) : start.end(1) + 1])
        if length:
            kept += [text[done : start.start()], REDACTED]
            done = start.start() + length
    return "".join(kept) + text[done:] if kept else text


def _card_length(candidate: str, following: str) -> int:
    """Characters of *candidate* that are a card; 0 for none; longest first."""
    for end in range(len(candidate), _SHORTEST - 1, -1):
        after = candidate[end : end + 1] or following
        if after.isdecimal() or not candidate[end - 1].isdecimal():
            continue
        if is_card("".join(filter(str.isdecimal, candidate[:end]))):
            return end
    return 0
