"""What annotations are made of, without ``typing`` where nobody has loaded it.

``typing`` brings ``re``, ``enum`` and a dozen more: half of what decorating a first
function would take. Modules on the way to it take the names from here: checkers see
the real ones, and so does everybody once ``typing`` is loaded. Elsewhere they are
names without meaning, for nothing that runs asks them anything.
"""

import sys

__all__ = [
    "TYPE_CHECKING",
    "Any",
    "ClassVar",
    "Generic",
    "Literal",
    "NamedTuple",
    "Protocol",
    "TypeAlias",
    "TypeVar",
    "overload",
]

TYPE_CHECKING = False

if TYPE_CHECKING or "typing" in sys.modules:
    from typing import (
        Any,
        ClassVar,
        Generic,
        Literal,
        NamedTuple,
        Protocol,
        TypeAlias,
        TypeVar,
        overload,
    )
else:

    class _Hint:
        """Stands for a type, with or without parameters."""

        def __class_getitem__(cls, parameters: object) -> type:
            return cls

    class Any(_Hint):
        """Anything."""

    class ClassVar(_Hint):
        """An attribute of the class."""

    class Generic(_Hint):
        """A class with parameters."""

    class Literal(_Hint):
        """One of a few values."""

    class Protocol(_Hint):
        """What something must be able to do."""

    class TypeAlias(_Hint):
        """Another name of a type."""

    class TypeVar(_Hint):
        """A parameter."""

        def __init__(self, *_: object, **__: object) -> None:
            """Take what ``typing`` takes."""

    def overload(function: object) -> object:
        """One of the ways to call a function."""
        return function

    class _MakesTuples(type):
        """Makes of a class with fields what ``typing.NamedTuple`` makes of it."""

        def __new__(cls, name: str, bases: tuple, body: dict) -> type:
            """Make the tuple's class, with the body's methods and defaults."""
            from collections import namedtuple

            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = list(body["__annotations__"])
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(  # noqa: PYI024
                name, fields, defaults=defaults, module=body["__module__"]
            )
            for key, value in body.items():
                if key not in {"__module__", "__qualname__"}:
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_MakesTuples):
        """A tuple whose items have names."""
