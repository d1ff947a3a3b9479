"""The twin of a probed function: a copy whose own code records, without a frame more.

The bare function stays as it is; whoever has kept it calls it unrecorded. Where code
cannot be woven, a wrapper does the same: see ``wrapper``.
"""

import functools
from types import CodeType, FunctionType

from probekit.hints import TYPE_CHECKING, Any
from probekit.recording.functions.stitch import Stitch
from probekit.recording.functions.wrapper import is_wrapper
from probekit.recording.registry import Registry
from probekit.recording.weave import can_weave
from probekit.recording.woven import is_woven

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeGuard


def can_be_woven(function: object) -> "TypeGuard[FunctionType]":
    """Whether it has code that is known here and that records nothing yet."""
    return (
        can_weave()
        and isinstance(function, FunctionType)
        and not is_wrapper(function)
        and not is_woven(function.__code__)
    )


def timed_twin(
    function: FunctionType,
    name: str,
    attributes: "Mapping[str, Any]",
    registry: Registry,
    *,
    from_source: bool,
) -> FunctionType:
    """Return a copy of *function* that times every call.

    Args:
        function: See :func:`can_be_woven`.
        name: ``code.function.name``.
        attributes: More of them, cleaned.
        registry: Where calls are recorded.
        from_source: As for :class:`Stitch`.

    Raises:
        Unweavable: Its code has a form that is not known.

    """
    original = function.__code__
    twin = copied(function, original)
    stitch = Stitch(
        twin, name, registry.gate, attributes=attributes, from_source=from_source
    )
    stitch.tie()
    stitch.let_go()
    registry.twins.add(twin, original=original)
    return twin


def copied(function: FunctionType, code: CodeType) -> FunctionType:
    """Return what *function* is, with *code*: the same names, defaults and closure."""
    twin = FunctionType(
        code,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    functools.update_wrapper(twin, function)
    twin.__kwdefaults__ = function.__kwdefaults__ and dict(function.__kwdefaults__)
    return twin
