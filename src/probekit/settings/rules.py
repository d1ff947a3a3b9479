"""One rule a setting: a function that returns the checked value or says the rule.

A rule raises ``RuleBroken`` with the rule's text alone; ``load`` adds the setting's
name, where it came from and the value without its secrets.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from probekit.model import AttributeValue, Retention
from probekit.naming import checked_name
from probekit.ports import Exporter
from probekit.settings.model import (
    SHIPPERS,
    Limits,
    ScrubSettings,
    Shipper,
)

T = TypeVar("T", Retention, Limits)

_LEAST: "dict[str, float]" = {
    "max_bytes": 1 << 20,
    "max_age_s": 60.0,
    "cpu_ratio": 0.0001,
    "memory_bytes": 1 << 20,
    "disk_bytes_per_s": 1 << 10,
}
_SCALARS = (str, bool, int, float)


class RuleBroken(ValueError):
    """A value breaks the rule that the text states."""


def service(value: object) -> str:
    """A name of 1 to 200 printable characters."""
    return checked_name(value, "a service's name")


def seconds(low: float, high: float) -> "Callable[[object], float]":
    """Make the rule for a number of seconds from *low* to *high*."""

    def rule(value: object) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not low <= value <= high
        ):
            raise RuleBroken(f"must be a number of seconds from {low:g} to {high:g}")
        return float(value)

    return rule


def switch(value: object) -> bool:
    """True or false, nothing that merely counts as such."""
    if not isinstance(value, bool):
        raise RuleBroken("must be true or false (in the environment 1 or 0)")
    return value


def shipper(value: object) -> Shipper:
    """One of the three."""
    for known in SHIPPERS:
        if value == known:
            return known
    raise RuleBroken(f"must be one of {', '.join(SHIPPERS)}")


def traces(value: object) -> Any:
    """A share from 0 to 1, or any other object: a policy, judged by who uses it."""
    if isinstance(value, (bool, int, float)):
        if not 0.0 <= value <= 1.0:
            raise RuleBroken("must be a share from 0.0 to 1.0, or a policy object")
        return float(value)
    if isinstance(value, str):
        raise RuleBroken("must be a share from 0.0 to 1.0, or a policy object")
    return value


def buffer(value: object) -> "Path | None":
    """A path, made absolute; ``:memory:`` is None."""
    if value == ":memory:":
        return None
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise RuleBroken('must be the path of a file, or ":memory:"')
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:
        raise RuleBroken("names a home folder that does not exist") from None


def exporters(value: object) -> "tuple[str | Exporter, ...]":
    """One URL or exporter, or a sequence of them; whether a URL is good, others say."""
    if isinstance(value, (str, Exporter)):
        value = (value,)
    if not isinstance(value, Sequence):
        raise RuleBroken("must be a URL, an exporter, or a list of them")
    for each in value:
        if isinstance(each, type) or not isinstance(each, (str, Exporter)):
            raise RuleBroken(
                f"must hold URLs or objects with contract, send and close; "
                f"a {type(each).__name__} is neither"
            )
    return tuple(each.strip() if isinstance(each, str) else each for each in value)


def resource(value: object) -> "dict[str, AttributeValue]":
    """Names to texts, numbers, booleans or lists of them."""
    if not isinstance(value, Mapping):
        raise RuleBroken("must map attribute names to values")
    return {
        checked_name(name, "an attribute's name"): _attribute(name, each)
        for name, each in value.items()
    }


def _attribute(name: str, value: object) -> AttributeValue:
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, (list, tuple)) and all(
        isinstance(each, _SCALARS) for each in value
    ):
        return tuple(value)
    raise RuleBroken(
        f"{name} must be text, a number, a boolean or a list of those, "
        f"not {type(value).__name__}"
    )


def retention(value: object) -> Retention:
    """The dataclass, a mapping, or any object with its attributes."""
    return _numbers(Retention(), value)


def limits(value: object) -> Limits:
    """The dataclass, a mapping, or any object with its attributes."""
    return _numbers(Limits(), value)


def _numbers(default: T, value: object) -> T:
    if isinstance(value, type(default)):
        value = {each.name: getattr(value, each.name) for each in fields(default)}
    known = {each.name: getattr(default, each.name) for each in fields(default)}
    if not isinstance(value, Mapping):
        raise RuleBroken(f"must map some of {', '.join(known)} to numbers")
    for name, number in value.items():
        if name not in known:
            raise RuleBroken(f"{name!r} is unknown; known are {', '.join(known)}")
        whole = isinstance(known[name], int)
        least = _LEAST.get(name, 1 if whole else 0)
        if (
            isinstance(number, bool)
            or not isinstance(number, int if whole else (int, float))
            or not least <= number < math.inf
        ):
            kind = "a whole number" if whole else "a number"
            raise RuleBroken(f"{name} must be {kind}, {least:.15g} or more")
    return type(default)(
        **known | {n: type(known[n])(number) for n, number in value.items()}
    )


def scrub(value: object) -> ScrubSettings:
    """On or off, functions, or a table of ``enabled``, ``deny_names``, ``extra``."""
    if isinstance(value, ScrubSettings):
        return value
    if isinstance(value, bool):
        return ScrubSettings(enabled=value)
    if callable(value):
        return ScrubSettings(extra=(value,))
    if isinstance(value, Mapping):
        if unknown := set(value) - {"enabled", "deny_names", "extra"}:
            raise RuleBroken(
                f"{min(map(str, unknown))!r} is unknown; "
                "known are enabled, deny_names, extra"
            )
        return ScrubSettings(
            enabled=switch(value.get("enabled", True)),
            deny_names=words(value.get("deny_names", ())),
            extra=_functions(value.get("extra", ())),
        )
    return ScrubSettings(extra=_functions(value))


def _functions(value: object) -> "tuple[Any, ...]":
    if not isinstance(value, (list, tuple)) or not all(map(callable, value)):
        raise RuleBroken("must be true, false, a function, or a list of functions")
    return tuple(value)


def words(value: object) -> "tuple[str, ...]":
    """A list of texts, none empty."""
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, (list, tuple)) or not all(
        isinstance(each, str) and each.strip() for each in value
    ):
        raise RuleBroken("must be a list of texts")
    return tuple(each.strip() for each in value)


def alerts(_value: object) -> None:
    """Reserved: what nobody would judge must not look as if somebody did."""
    raise RuleBroken(
        "must be left out: probekit judges no rules; let `probekit check` or the "
        "backend's own alerts do it"
    )
