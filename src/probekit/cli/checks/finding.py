"""One line of doctor."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = "Literal['ok', 'warn', 'fail']"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and what was found.

    Attributes:
        level: ``ok``; ``warn`` for what deserves a look; ``fail`` for what is wrong.
        subject: One or two words.
        text: What was found, and what to do about it.
    """

    level: Level
    subject: str
    text: str


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding("ok", subject, text)


def warn(subject: str, text: str) -> Finding:
    """It works, and deserves a look."""
    return Finding("warn", subject, text)


def fail(subject: str, text: str) -> Finding:
    """It is wrong."""
    return Finding("fail", subject, text)
