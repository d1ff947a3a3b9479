"""The pytest plugin, in a pytest of its own."""

import os
import subprocess
import sys
import textwrap

import pytest


def run(folder, *options, **environ):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "-p", "probekit.testing.pytest_plugin", *options],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    ).stdout


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "plugged.py").write_text(
        "import pytest\n"
        "def f(x): return 1 / x\n"
        "@pytest.fixture\n"
        "def thing():\n"
        "    yield f(0.2)\n"
    )
    (tmp_path / "test_plugged.py").write_text(
        textwrap.dedent(
            """
            import plugged, pytest, probekit
            from plugged import thing

            def test_a_fixture_works_and_is_timed(thing):
                assert thing == 5

            def test_calls(probe):
                plugged.f(1), plugged.f(2)
                with pytest.raises(ZeroDivisionError):
                    plugged.f(0)
                probekit.counter("plugged.orders").add(3)
                assert probe.calls("plugged.f") == 3
                assert probe.calls("plugged.f", "ZeroDivisionError") == 1
                assert probe.calls("plugged.f", "") == 2
                assert probe.total("plugged.orders") == 3
                assert [p.culprit for p in probe.problems] == ["plugged.f"]
            """
        )
    )
    return tmp_path


@pytest.mark.e2e
@pytest.mark.parametrize("way", ["option", "environment", "ini"])
def test_modules_are_timed_while_tests_run(suite, way):
    """Three ways to name them; the fixture reads what was recorded."""
    options, environ = (), {}
    if way == "option":
        options = ("--probekit-instrument", "plugged")
    elif way == "environment":
        environ = {"PROBEKIT_INSTRUMENT": "plugged"}
    else:
        (suite / "pytest.ini").write_text("[pytest]\nprobekit_instrument = plugged\n")
    out = run(suite, *options, **environ)

    assert "2 passed" in out
    assert "probekit: 2 functions timed, 0 left" in out


@pytest.mark.e2e
def test_without_a_pattern_the_plugin_says_nothing(suite):
    """Loading it is free."""
    (suite / "test_plugged.py").write_text("def test_x(): pass\n")

    assert "probekit" not in run(suite)
