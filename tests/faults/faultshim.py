"""Builds ``faultio.c`` and ``faultclock.c``; says how to run programs under them."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HALF, KILL = -1, -2  # instead of an errno


def build_shim(folder, name="faultio"):
    """The library called *name*, made by the compiler of this machine."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.fail("a C compiler (cc) is needed to inject this fault")
    library = folder / f"{name}.so"
    subprocess.run(
        [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC",
         "-o", library, HERE / f"{name}.c", "-ldl", "-lpthread"],
        check=True,
    )  # fmt: skip
    return library


def under(library, do, *, path="/state/", calls="wpst", at=0, times=1, armed=None):
    """The environment of a program whose call number *at* does not go as it should."""
    environment = {
        "LD_PRELOAD": str(library),
        "FAULTIO_PATH": path,
        "FAULTIO_CALLS": calls,
        "FAULTIO_AT": str(at),
        "FAULTIO_TIMES": str(times),
        "FAULTIO_DO": str(int(do)),
    }
    if armed is not None:
        environment["FAULTIO_ARMED"] = str(armed)
    return environment
