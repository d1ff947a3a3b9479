"""Puts the recording inside a function's own code, so that nothing else changes.

A woven function is the same object as before, with the same name, signature, source
lines, frames and local variables: no wrapper stands around it, and whoever holds a
reference to it (a registry, a subclass, a ``from a import f``) calls the woven code.
The start time lies on the interpreter's value stack, below everything else, where no
Python code can see it. Come here with a code object; nothing here records, and nothing
here knows modules.
"""

from probekit.recording.weave.strands import Strands
from probekit.recording.weave.weaver import CAN_WEAVE, Unweavable, weave

__all__ = ["CAN_WEAVE", "Strands", "Unweavable", "weave"]
