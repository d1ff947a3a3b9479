"""Puts the recording inside a function's own code, so that nothing else changes.

A woven function is the same object as before, with the same name, signature, source
lines, frames and local variables: no wrapper stands around it, and whoever holds a
reference to it (a registry, a subclass, a ``from a import f``) calls the woven code.
The start time lies on the interpreter's value stack, below everything else, where no
Python code can see it. Come here with a code object; nothing here records, and nothing
here knows modules.
"""

from types import CodeType, FunctionType

from probekit.recording.weave import shroud, weaver
from probekit.recording.weave.strands import Strands
from probekit.recording.weave.weaver import Unweavable

__all__ = ["Strands", "Unweavable", "timed_code"]


def timed_code(function: FunctionType, code: CodeType, strands: Strands) -> CodeType:
    """Return code for *function* that does what *code*, its own, does, and records.

    Raises:
        Exception: The form of the code is not known; the function stays as it is.

    """
    if weaver.CAN_WEAVE:
        return weaver.weave(code, strands)
    return shroud.shroud(function, code, strands)
