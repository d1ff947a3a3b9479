"""Runs before every program that inherits the environment of ``probekit run``.

Python imports one ``sitecustomize``, the first it finds. This one takes itself off the
path, runs the one that it hides, if there is one, then starts probekit. It imports
next to nothing, for a Python without probekit may find it too.
"""

import os
import sys


def _take_off_the_path() -> None:
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    sys.path[:] = [
        entry
        for entry in sys.path
        if os.path.abspath(entry or os.curdir) != here  # noqa: PTH100
    ]


def _run_the_hidden_one() -> None:
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec(__name__, sys.path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules[__name__] = module
    spec.loader.exec_module(module)


def _start() -> None:
    try:
        from probekit.autostart.start import start
    except Exception:  # a Python that has no probekit, or a broken one
        return
    start()


if __name__ == "sitecustomize":
    _take_off_the_path()
    try:
        # What it raises is the program's own affair, as it was without us.
        _run_the_hidden_one()
    finally:
        _start()
