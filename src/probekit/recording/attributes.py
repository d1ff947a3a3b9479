"""Attributes as users give them, made into what may be stored.

Scalars and sequences of scalars keep their types. Anything else is named by its type:
no ``__str__`` or ``__repr__`` of the application's is ever called from here.
"""

import math
import sys
from collections.abc import Mapping

from probekit.hints import Any
from probekit.naming import NAME_LIMIT, VALUE_LIMIT
from probekit.passing import let_pass
from probekit.recorded import Attributes, AttributeValue, Scalar

SEQUENCE_LIMIT = 128
COUNT_LIMIT = 128  # attributes of one record
_INT64 = 1 << 63
# Types of the standard library whose text is short, safe and what one means.
_SPOKEN = {"datetime", "decimal", "fractions", "ipaddress", "pathlib", "uuid"}


def clean(attributes: "Mapping[str, Any] | None") -> "dict[str, AttributeValue]":
    """Return a copy of *attributes* that may be stored.

    Keys that are not text, and values that are None, are left out; text is cut at
    4,096 characters, keys at 200, sequences and the whole at 128.

    Args:
        attributes: What the user gave; None for none.

    Raises:
        TypeError: It is not a mapping.

    Example:
        >>> clean({"plan": "pro", "items": [1, 2], "n": None, "who": object()})
        {'plan': 'pro', 'items': (1, 2), 'who': '<object>'}

    """
    if not attributes:
        return {}
    if not isinstance(attributes, Mapping):
        raise TypeError(f"attributes must be a mapping, got {_named(attributes)}")
    kept: dict[str, AttributeValue] = {}
    for key, value in attributes.items():
        if isinstance(key, str) and key and value is not None:
            kept[encodable(key, NAME_LIMIT)] = _value(value)
            if len(kept) == COUNT_LIMIT:
                break
    return kept


def is_lasting(value: Any) -> bool:
    """Whether keeping *value* keeps no object of the application's alive.

    Example:
        >>> is_lasting(("pro", 1, None)), is_lasting(ValueError("with a traceback"))
        (True, False)

    """
    if value is None or isinstance(value, str | int | float):
        return True
    if isinstance(value, tuple):
        return all(map(is_lasting, value))
    return _is_member(value) or type(value).__module__ in _SPOKEN


def merged(
    first: Attributes,
    second: "Mapping[str, Any] | None",
) -> "dict[str, AttributeValue]":
    """*first*, already clean, with *second* cleaned over it."""
    return {**first, **clean(second)}


def encodable(text: str, limit: int) -> str:
    r"""*text* as an exact ``str``, cut, with lone surrogates written as escapes.

    Example:
        >>> encodable("caf\u00e9 \ud800", 40)
        'café \\ud800'

    """
    cut = str.__getitem__(text, slice(0, limit))
    if cut.isascii():
        return cut
    return cut.encode("utf-8", "backslashreplace").decode("utf-8")


def _value(value: Any) -> AttributeValue:
    if isinstance(value, list | tuple):
        return tuple(_scalar(item) for item in value[:SEQUENCE_LIMIT])
    return _scalar(value)


def _scalar(value: Any) -> Scalar:
    if isinstance(value, str):
        return encodable(value, VALUE_LIMIT)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        number = int.__int__(value)
        return number if -_INT64 <= number < _INT64 else _named(value)
    if isinstance(value, float):
        real = float.__float__(value)
        # NaN is unequal to itself: each one would be a series of its own.
        return real if math.isfinite(real) else float.__repr__(real)
    if _is_member(value):
        inner = value._value_
        return _named(value) if _is_member(inner) else _scalar(inner)
    return _text(value)


def _is_member(value: Any) -> bool:
    """Whether *value* is of an enumeration; where nobody has loaded enum, none is."""
    enum = getattr(sys.modules.get("enum"), "Enum", None)
    return enum is not None and isinstance(value, enum)


def _text(value: Any) -> str:
    kind = type(value)
    if kind.__module__ in _SPOKEN:
        try:
            return str(value)[:VALUE_LIMIT]
        except Exception as error:  # somebody's class that only claims to be from there
            let_pass(error)
            return _named(value)
    if kind in {dict, set, frozenset, bytes, bytearray}:
        return f"<{kind.__name__} of {len(value)}>"
    return _named(value)


def _named(value: Any) -> str:
    return f"<{type_name(type(value))}>"


def type_name(kind: type) -> str:
    """Name of a class with its module, without it for builtins.

    Example:
        >>> type_name(ValueError), type_name(math.inf.__class__)
        ('ValueError', 'float')

    """
    try:
        module, name = kind.__module__, kind.__qualname__
        if module == "builtins" or not isinstance(module, str):
            return name[:NAME_LIMIT]
        return f"{module}.{name}"[:NAME_LIMIT]
    except Exception as error:  # a metaclass may do anything
        let_pass(error)
        return "_OTHER"
