"""Finds code objects that somebody keeps, to compare them with running ones.

Some libraries register code objects and know their own frames by them later (jinja2
hides its internals from tracebacks so). Their functions must keep their code.
"""

import gc
from collections.abc import Iterable
from sys import getrefcount
from types import (
    AsyncGeneratorType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
)

# What refers to code because it runs it; tuples are the constants of enclosing code
# (or the arguments of the search itself).
_RUNNERS = (
    tuple,
    FunctionType,
    FrameType,
    GeneratorType,
    CoroutineType,
    AsyncGeneratorType,
)


def _references_alone() -> int:
    """What ``getrefcount`` says of code that only its function refers to."""
    lonely = FunctionType(_references_alone.__code__.replace(), {})
    return getrefcount(lonely.__code__)


def kept_codes(functions: Iterable[FunctionType]) -> "set[int]":
    """Return the ids of the codes of *functions* that are kept by others too.

    Cheap where nobody keeps any: the references are counted first. Only then all
    containers are asked, which takes some milliseconds in a large process.
    """
    alone = _references_alone()
    suspects = [f.__code__ for f in functions if getrefcount(f.__code__) > alone]
    if not suspects:
        return set()
    kept: set[int] = set()
    for holder in gc.get_referrers(*suspects):
        kind = type(holder)
        if holder is suspects or issubclass(kind, _RUNNERS) or _is_ours(kind):
            continue
        kept.update(map(id, gc.get_referents(holder)))
    return kept.intersection(map(id, suspects))


def _is_ours(kind: type) -> bool:
    """Whether it is a stitch, which knows the code that it has replaced."""
    return str(kind.__module__).startswith("probekit.recording.")
