"""Which modules and functions a user means."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from probekit.errors import ConfigError

# What the recording of a call itself runs through, or what runs before any of us.
NEVER = frozenset({"probekit", "wrapt", "importlib", "_frozen_importlib", "sys", "gc"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One request to instrument.

    Attributes:
        patterns: Shell patterns of module names; ``shop.*`` means ``shop`` too.
        exclude: The same, for modules and for functions (``shop.cart.Cart.total``).
        min_duration_s: Least duration of a call that leaves a span, or None.
        properties: Whether getters of properties count.
        dunders: Whether ``__dunder__`` functions count.
    """

    patterns: "tuple[str, ...]"
    exclude: "tuple[str, ...]" = ()
    min_duration_s: "float | None" = None
    properties: bool = False
    dunders: bool = False

    def takes_module(self, name: str) -> bool:
        """Whether the module *name* is meant.

        Example:
            >>> rule = Rule(("shop.*",), exclude=("shop.vendor.*",))
            >>> [rule.takes_module(n) for n in ("shop", "shop.a.b", "shopping")]
            [True, True, False]
            >>> rule.takes_module("shop.vendor")
            False

        """
        return (
            name.partition(".")[0] not in NEVER
            and any(_matches(name, pattern) for pattern in self.patterns)
            and not any(_matches(name, pattern) for pattern in self.exclude)
        )

    def takes_function(self, full_name: str, name: str) -> bool:
        """Whether the function is meant, in a module that is.

        Args:
            full_name: Module and qualified name.
            name: The last part of it.

        """
        if not self.dunders and name.startswith("__") and name.endswith("__"):
            return False
        return not any(fnmatchcase(full_name, pattern) for pattern in self.exclude)


def checked_rule(
    patterns: Iterable[object],
    exclude: object,
    min_duration_s: object,
    *,
    properties: bool,
    dunders: bool,
) -> Rule:
    """Return the rule that was asked for.

    Raises:
        ConfigError: An argument is of a wrong kind, or a pattern would match
            everything.

    """
    least_s = min_duration_s
    if least_s is not None and (
        isinstance(least_s, bool)
        or not isinstance(least_s, int | float)
        or not least_s >= 0
    ):
        raise ConfigError(
            f"min_duration_s must be a number of seconds from 0 up, got {least_s!r}"
        )
    return Rule(
        tuple(_checked(pattern, "pattern") for pattern in patterns),
        tuple(_checked(pattern, "exclude") for pattern in _listed(exclude)),
        None if least_s is None else float(least_s),
        properties=bool(properties),
        dunders=bool(dunders),
    )


def _listed(exclude: object) -> "list[object]":
    if isinstance(exclude, str):
        return [exclude]
    if not isinstance(exclude, Iterable):
        got = type(exclude).__name__
        raise ConfigError(f"exclude must be a list of patterns, got {got}")
    return list(exclude)


def _checked(pattern: object, what: str) -> str:
    if not isinstance(pattern, str) or not pattern.strip():
        raise ConfigError(
            f"{what} {pattern!r} of instrument() must be text, such as 'shop.*'"
        )
    if what == "pattern" and pattern[0] in "*?[":
        raise ConfigError(
            f"pattern {pattern!r} of instrument() would match other people's modules; "
            f"begin with the name of a package, such as 'shop.*'"
        )
    return pattern.strip()


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or (
        pattern.endswith(".*") and fnmatchcase(name, pattern[:-2])
    )
