"""The weaver against code it has never seen: the standard library's own.

What it makes is checked without running it: the interpreter's own tools must read it,
every line must stay where it was, every handler must know its depth.
"""

import dis
import importlib
import sys
import types
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.recording.weave import weaver
from probekit.recording.weave.strands import Strands
from probekit.recording.weave.tables import Guard, read_guards, write_guards
from probekit.recording.woven import is_woven

pytestmark = pytest.mark.skipif(
    not weaver.CAN_WEAVE, reason="the code of this interpreter is not known"
)

MODULES = (
    *("argparse", "ast", "asyncio.base_events", "asyncio.tasks", "collections"),
    *("configparser", "contextlib", "csv", "dataclasses", "datetime", "decimal"),
    *("difflib", "email.message", "enum", "fractions", "functools", "heapq"),
    *("html.parser", "http.client", "inspect", "ipaddress", "json.decoder"),
    *("logging", "optparse", "pathlib", "pickle", "plistlib", "pprint", "random"),
    *("shutil", "socketserver", "statistics", "string", "subprocess", "tarfile"),
    *("tempfile", "textwrap", "threading", "tokenize", "traceback", "typing"),
    *("unittest.mock", "urllib.parse", "urllib.request", "uuid", "warnings"),
    *("weakref", "xml.etree.ElementTree", "zipfile"),
)


class Gate:
    """Stands for the real one; the deadline never comes."""

    deadline = types.MappingProxyType({(): float("inf")})


def strands(**more):
    return Strands(
        gate=Gate,
        due=bool,
        append=[].append,
        fail=lambda error, started_s: None,
        missed=[].append,
        **more,
    )


def codes_of(module):
    """All code of functions in a module's file, compiled anew."""
    text = Path(module.__file__).read_text(encoding="utf-8")
    waiting = [compile(text, module.__file__, "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        if code.co_flags & 2:  # a function's, not a module's or a class's
            yield code
        waiting += [c for c in code.co_consts if isinstance(c, types.CodeType)]


def lines_of(code):
    """Its line numbers in the order of the code, without repetition and gaps."""
    found = [line for _, _, line in code.co_lines() if line is not None]
    return [b for a, b in pairwise([None, *found]) if a != b]


KINDS = (
    {},
    {"tick": iter(range(1 << 30)).__next__},
    {"slow": lambda duration_s: None, "slow_s": 1.0},
)


@pytest.mark.parametrize("name", MODULES)
def test_woven_code_is_sound_and_shows_what_the_original_showed(name):
    """Names, lines and places stay; the tables can be read to their ends."""
    module = importlib.import_module(name)
    for number, code in enumerate(codes_of(module)):
        woven = weaver.weave(code, strands(**KINDS[number % 3]))
        size = len(woven.co_code)
        starts = {each.offset for each in dis.get_instructions(woven)}
        guards = read_guards(woven.co_exceptiontable)

        assert lines_of(code) == lines_of(woven)
        assert size == 2 * len(list(woven.co_positions()))
        assert dis.findlabels(woven.co_code) == [
            at for at in dis.findlabels(woven.co_code) if at in starts
        ]
        assert all(
            2 * g.start in starts and 2 * g.target in starts and 2 * g.end <= size
            for g in guards
        )
        assert all(a.end <= b.start for a, b in pairwise(guards))
        for fact in (
            "name",
            "filename",
            "firstlineno",
            "flags",
            "varnames",
            "freevars",
        ):
            assert getattr(code, f"co_{fact}") == getattr(woven, f"co_{fact}")


def test_every_place_of_the_own_code_is_guarded_and_nothing_of_ours():
    """An exception from anywhere in the function is told; one of ours passes."""

    def f(x):
        try:
            return x[0]
        except KeyError:
            return list(x)

    woven = weaver.weave(f.__code__, strands())
    guards = read_guards(woven.co_exceptiontable)
    guarded = {u for g in guards for u in range(g.start, g.end)}
    own = [
        each
        for each in dis.get_instructions(woven)
        if each.opname in {"BINARY_SUBSCR", "LOAD_FAST"}
        and each.argrepr != "deadline"
        and each.positions.lineno
    ]
    subscript, loads = own[1], own[0]

    assert loads.offset // 2 in guarded
    assert subscript.offset // 2 in guarded


@pytest.mark.parametrize("branches", [1, 5, 60, 300, 1500])
def test_jumps_reach_over_what_was_put_between(branches):
    """Arguments grow from one byte to two and three; results stay."""
    text = "def f(x):\n" + "".join(
        f"    if x == {i}:\n        for k in range(3):\n"
        f"            if k == 2: return k * {i}\n        x += 1\n"
        for i in range(branches)
    )
    namespace = {}
    exec(text + "    return x\n", namespace)
    f = namespace["f"]
    probes = sorted({0, 1, branches // 2, branches - 1, branches, branches + 7})
    before = [f(x) for x in probes]
    f.__code__ = weaver.weave(f.__code__, strands())

    assert before == [f(x) for x in probes]


def test_more_constants_and_names_than_a_byte_can_count():
    """Our own come after the function's."""
    names = "".join(f"    total += a.n{i} + {i}.5\n" for i in range(400))
    namespace = {}
    exec(f"def f(a):\n    total = 0\n{names}    return total\n", namespace)
    f = namespace["f"]
    a = types.SimpleNamespace(**{f"n{i}": 1 for i in range(400)})
    expected = f(a)
    f.__code__ = weaver.weave(f.__code__, strands())

    assert expected == f(a)


def test_code_of_an_unknown_form_is_refused(monkeypatch):
    """A module's code does not begin like a function's everywhere; others neither."""
    code = compile("1", "<x>", "eval")
    broken = code.replace(co_code=code.co_code[2:] + code.co_code[:2])

    with pytest.raises(weaver.Unweavable):
        weaver.weave(
            broken.replace(co_code=b"".join(_without_resume(code.co_code))), strands()
        )
    monkeypatch.setattr(weaver, "CAN_WEAVE", False)
    with pytest.raises(weaver.Unweavable):
        weaver.weave(code, strands())


def _without_resume(raw):
    resume = dis.opmap["RESUME"]
    for at in range(0, len(raw), 2):
        if raw[at] != resume:
            yield raw[at : at + 2]


def test_woven_code_is_known_by_its_gate():
    """Not by what a user's code happens to hold."""

    def f():
        return "gate", Gate

    assert not is_woven(f.__code__)
    assert not is_woven(weaver.weave(f.__code__, strands()))  # another gate's


guards = st.lists(
    st.tuples(
        st.integers(1, 5000), st.integers(0, 1 << 17), st.integers(0, 40), st.booleans()
    ),
    max_size=12,
)


@given(guards)
@settings(max_examples=40)
def test_an_exception_table_survives_writing_and_reading(parts):
    """The format has no other limits than the numbers' own."""
    table, at = [], 0
    for length, target, depth, lasti in parts:
        table.append(Guard(at, at + length, target, depth, lasti))
        at += length + 1

    assert table == read_guards(write_guards(table))


def test_the_interpreter_reads_our_exception_table():
    """As dis does."""

    def f():
        with memoryview(b"x") as view:
            return view[0]

    raw = f.__code__.co_exceptiontable

    assert raw == write_guards(read_guards(raw))
    assert sys.version_info < (3, 14)
