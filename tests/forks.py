"""Forks of the test's own process, those included that Python does not know of."""

import ctypes
import os
import sys
import time

_NEVER_S = 1000.0


def raw_fork():
    """Fork as a server written in C does, without Python's hooks.

    The process of a test has threads that are not ours (xdist's). Where one of them
    has asked for the interpreter, the child, which has one thread, hands it over and
    waits for ever to get it back. So nobody may ask meanwhile; who has asked already
    is served during the pause.
    """
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_NEVER_S)
    try:
        time.sleep(5 * usual_s)
        return ctypes.PyDLL(None).fork()
    finally:
        sys.setswitchinterval(usual_s)


FORKS = {"hooked": os.fork, "raw": raw_fork}
