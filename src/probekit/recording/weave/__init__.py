"""Puts the recording inside a function's own code, so that nothing else changes.

A woven function is the same object as before, with the same name, signature, source
lines, frames and local variables: no wrapper stands around it, and whoever holds a
reference to it (a registry, a subclass, a ``from a import f``) calls the woven code.
The start time lies on the interpreter's value stack, below everything else, where no
Python code can see it. Come here with a code object; nothing here records, and nothing
here knows modules.
"""

from types import CodeType, FunctionType

from probekit.recording.weave import weaver
from probekit.recording.weave.strands import Strands
from probekit.recording.weave.weaver import Unweavable

__all__ = ["Strands", "Unweavable", "can_weave", "exchange", "timed_code"]


def can_weave() -> bool:
    """Whether this interpreter's code is known."""
    return weaver.CAN_WEAVE


def timed_code(function: FunctionType, code: CodeType, strands: Strands) -> CodeType:
    """Return code for *function* that does what *code*, its own, does, and records.

    Raises:
        Exception: The form of the code is not known; the function stays as it is.

    """
    if weaver.CAN_WEAVE:
        return weaver.weave(code, strands)
    from probekit.recording.weave.shroud import shroud

    return shroud(function, code, strands)


def exchange(function: FunctionType, code: CodeType) -> None:
    """Give *function* other *code*: one that was made for it, or its own."""
    if weaver.CAN_WEAVE:
        function.__code__ = code
        return
    from probekit.recording.weave.shroud import hide_twin, show_twin

    hide_twin(function, function.__code__)
    function.__code__ = code
    show_twin(function, code)
