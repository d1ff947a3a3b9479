"""Other people's suites give the same outcomes with and without us."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("suites.py")
spec = importlib.util.spec_from_file_location("instrument_suites", SCRIPT)
suites = importlib.util.module_from_spec(spec)
spec.loader.exec_module(suites)


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suites")
    return folder, suites.environment(folder, suites.SUITES)


@pytest.mark.backend
@pytest.mark.suites
@pytest.mark.timeout(600)
@pytest.mark.parametrize("suite", suites.SUITES, ids=lambda suite: suite.name)
def test_a_packages_own_tests_pass_and_fail_as_without_us(environment, suite):
    """Every function of the package timed; each test's outcome compared."""
    folder, python = environment

    assert 0 == suites.compare(folder, suite, python)
