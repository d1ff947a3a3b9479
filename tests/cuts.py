"""A signal's handler at each place where Python takes signals, one after another."""

import dis
import inspect
import os
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import probekit

OURS = f"{Path(probekit.__file__).parent}{os.sep}"
LOOKS_AFTER = ("CALL", "JUMP_BACKWARD", "JUMP_ABSOLUTE")
LOOKS_NOT = ("CALL_INTRINSIC",)
IS_OLD = sys.version_info < (3, 11)


class Late(Exception):
    """What the application's handler of a signal raises."""


def late():
    """A handler that sets a limit."""
    raise Late("late")


class Cut:
    """Calls a handler at the how-manieth place in our code where Python would.

    These are the beginning of a function, the way back from a call of one written in C,
    and the way round a loop. Before Python 3.11 also the way back from any call, past
    what an ``if`` leaves out, and to where an exception is taken: there no ``finally``
    is safe from a handler that raises, so only another one is called at these.
    """

    def __init__(self, number, handler=late, spare=""):
        self.left = number
        self.spare = spare
        self.handler = handler
        self._is_everywhere = IS_OLD and handler is not late
        self._opcode = {}  # of each frame: the last one, and where its next would be

    @property
    def came(self):
        return self.left <= 0

    def __call__(self, frame, event, _):
        if event == "call" and not self._is_everywhere:
            self._opcode[frame.f_back] = ("", 0)  # no look on the way back from Python
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_opcodes = True
        if event == "call":
            # A generator's frame is called to be closed as well, by no line of ours.
            is_generators = frame.f_code.co_flags & inspect.CO_GENERATOR
            if frame.f_code.co_name != self.spare and not is_generators:
                self._look(frame)
        elif event == "opcode":
            before, next_one = self._opcode.get(frame, ("", 0))
            name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            self._opcode[frame] = (name, frame.f_lasti + 2)
            if self._looks_after(before, has_jumped=frame.f_lasti != next_one):
                self._look(frame)
        elif event == "exception":
            self._opcode[frame] = ("EXCEPTION", -1)
        elif event == "return":
            self._opcode.pop(frame, None)
        return self

    def _looks_after(self, opcode, *, has_jumped):
        if self._is_everywhere and opcode.startswith(("EXCEPTION", "POP_JUMP_IF")):
            return has_jumped
        return opcode.startswith(LOOKS_AFTER) and not opcode.startswith(LOOKS_NOT)

    def _look(self, frame):
        if _is_final(frame):
            return
        self.left -= 1
        if self.left == 0:
            self.handler()

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *_):
        sys.settrace(self._before)


def _is_final(frame):
    """Whether a finaliser runs: what is raised in one, Python ignores.

    Callbacks of weak references are called ``gone`` here.
    """
    while frame is not None and frame.f_code.co_name not in {"__del__", "gone"}:
        frame = frame.f_back
    return frame is not None


def cuts(spare="", handler=late):
    """Yield a cut at the first place, one at the second ... until one does not come.

    Args:
        spare: A function at whose very beginning none comes.
        handler: What is called there.

    """
    for number in count(1):
        cut = Cut(number, handler, spare)
        yield cut
        if not cut.came:
            return


def every_cut(work):
    """Do *work* again and again, cut at its first place, its second ...; to the end.

    Yields:
        How many places there have been so far.

    """
    for number, cut in enumerate(cuts()):
        with cut, suppress(Late):
            work()
        yield number
