"""Runs other people's test suites with and without instrumentation, and compares.

Usage: ``python tests/instrument/suites.py [WORK_FOLDER] [PACKAGE ...]``. Each package's
source distribution is unpacked, its tests run twice in an environment of its own, once
with every function of the package woven, and the outcome of each test is compared.
"""

import re
import subprocess
import sys
import tarfile
import time
import venv
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

# Some packages name cases by the moment at which they are collected.
_MOMENT = re.compile(r"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d")

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Suite:
    """How one package's own tests are run.

    Attributes:
        release: Requirement of the source distribution.
        pattern: What is instrumented.
        needs: What the tests need beside the package.
        options: Further options of pytest.
        tests: Where the tests are in the source distribution.
    """

    release: str
    pattern: str
    needs: tuple = ()
    options: tuple = ()
    tests: tuple = ("tests",)

    @property
    def name(self):
        return self.release.partition("==")[0]


SUITES = (
    Suite("flask==3.1.0", "flask.*", needs=("asgiref",)),
    Suite("click==8.3.1", "click.*"),
    Suite("itsdangerous==2.2.0", "itsdangerous.*", needs=("freezegun",)),
    Suite(
        "requests==2.32.3",
        "requests.*",
        needs=("pytest-httpbin==2.1.0", "httpbin~=0.10.0", "trustme", "PySocks"),
        # Reaches hosts of the internet, which neither run may.
        options=("--deselect=tests/test_requests.py::TestTimeout",),
    ),
)

# Run when named, or with --all; slower, and tried by hand before a release.
FURTHER = (
    Suite("attrs==24.3.0", "attr.*", needs=("hypothesis", "cloudpickle", "pympler")),
    Suite("jinja2==3.1.6", "jinja2.*", needs=("trio",)),
    Suite(
        "werkzeug==3.1.3",
        "werkzeug.*",
        options=("--ignore=tests/test_serving.py",),  # starts reloaders that stay
        needs=("ephemeral-port-reserve", "watchdog", "pytest-timeout", "cryptography"),
    ),
    Suite("marshmallow==3.26.1", "marshmallow.*", needs=("pytz", "simplejson")),
    Suite("more-itertools==10.6.0", "more_itertools.*"),
    Suite("tomlkit==0.13.2", "tomlkit.*", needs=("PyYAML",)),
    Suite(
        "pyparsing==3.2.1",
        "pyparsing.*",
        needs=("matplotlib", "railroad-diagrams", "jinja2"),
    ),
    Suite("packaging==24.2", "packaging.*", needs=("pretend",)),
    Suite("pluggy==1.5.0", "pluggy.*", tests=("testing",)),
    Suite(
        "structlog==25.1.0",
        "structlog.*",
        needs=(
            "pytest-asyncio",
            "time-machine",
            "freezegun",
            "pretend",
            "twisted",
            "rich",
        ),
    ),
    Suite("wrapt==1.17.2", "wrapt.*"),
    Suite(
        "networkx==3.4.2",
        "networkx.*",
        tests=(
            "networkx/algorithms/shortest_paths",
            "networkx/classes",
            "networkx/utils",
            "networkx/readwrite",
        ),
    ),
    Suite(
        "sqlalchemy==2.0.37",
        "sqlalchemy.*",
        tests=("test/base", "test/engine", "test/sql", "test/orm/test_query.py"),
        options=("-p", "no:warnings"),
    ),
    Suite(
        "httpx==0.28.1",
        "httpx.*",
        needs=(
            "trio",
            "trustme",
            "uvicorn",
            "chardet",
            "brotli",
            "zstandard",
            "h2",
            "socksio",
            "pygments",
            "rich",
            "anyio",
        ),
    ),
    Suite("tenacity==9.0.0", "tenacity.*", needs=("tornado", "typeguard")),
    Suite("cachetools==5.5.1", "cachetools.*"),
    Suite(
        "python-dateutil==2.9.0.post0", "dateutil.*", needs=("freezegun", "hypothesis")
    ),
    Suite("mako==1.3.8", "mako.*", tests=("test",)),
    Suite("toolz==1.0.0", "toolz.*", tests=("toolz/tests",)),
    Suite(
        "starlette==0.45.3",
        "starlette.*",
        needs=("httpx==0.28.1", "jinja2", "itsdangerous", "python-multipart", "trio"),
        options=("-o", "filterwarnings="),
    ),
    Suite("sympy==1.13.3", "sympy.*", tests=("sympy/core", "sympy/parsing")),
)


def environment(folder, suites):
    """One environment with all packages, their tests' needs and this checkout."""
    place = folder / "env"
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
    needs = [need for suite in suites for need in (suite.release, *suite.needs)]
    pip(python, "install", "pytest~=8.4.0", *needs, "--editable", str(ROOT))
    return python


def pip(python, *arguments):
    command = [python, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    subprocess.run(command, check=True)


def sources(folder, suite, python):
    """The unpacked source distribution."""
    place = folder / f"src-{suite.name}"
    if not place.exists():
        place.mkdir(parents=True)
        only = ("--no-binary", ":all:", "--no-deps")
        pip(python, "download", *only, "-d", str(place), suite.release)
        (archive,) = place.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(place, filter="data")
    (found,) = (each for each in place.iterdir() if each.is_dir())
    return found


def outcomes(folder, suite, python, *, woven):
    """Test → outcome of one run, and its seconds."""
    report = folder / f"{suite.name}-{'woven' if woven else 'bare'}.xml"
    tests = sources(folder, suite, python)
    command = [
        str(python),
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
        *("--tb=short", "-o", "junit_family=xunit1", f"--junitxml={report}"),
        *suite.options,
        *suite.tests,
    ]
    if woven:
        plugin = ("-p", "probekit.testing.pytest_plugin")
        command += [*plugin, "--probekit-instrument", suite.pattern]
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=tests, capture_output=True, text=True, check=False
    )
    took_s = time.perf_counter() - began
    (folder / f"{report.stem}.log").write_text(done.stdout + done.stderr)
    found = {}
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        key = f"{case.get('file') or case.get('classname')}::{case.get('name')}"
        key = _MOMENT.sub("<now>", key)
        while key in found:
            key += "'"
        found[key] = ",".join(sorted(kinds)) or "passed"
    return found, took_s


def compare(folder, suite, python):
    """Print what differs; the number of differences."""
    bare, bare_s = outcomes(folder, suite, python, woven=False)
    woven, woven_s = outcomes(folder, suite, python, woven=True)
    different = sorted(
        key for key in bare.keys() | woven.keys() if bare.get(key) != woven.get(key)
    )
    passed = sum(outcome == "passed" for outcome in bare.values())
    print(
        f"{suite.name:16} {len(bare):6} tests, {passed} pass, "
        f"{len(different)} differ, {bare_s:.1f} s bare, {woven_s:.1f} s woven",
        flush=True,
    )
    for key in different:
        print(f"  {key}: {bare.get(key)} -> {woven.get(key)}")
    assert passed > len(bare) / 2, f"{suite.name}: the bare run says nothing"
    return len(different)


def main(arguments):
    folder = Path(arguments[0] if arguments else "var/suites").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wanted = set(arguments[1:])
    known = SUITES + FURTHER if wanted else SUITES
    suites = [each for each in known if not wanted or each.name in wanted]
    python = environment(folder, suites)
    return sum(compare(folder, suite, python) for suite in suites)


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
