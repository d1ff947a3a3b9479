"""What a test needs that may not be there: a reason to skip, and in CI a failure."""

import importlib
import importlib.util
import os
from pathlib import Path

import pytest


def absent(what, how="pip install --group backends"):
    """End the test: skipped with the reason, failed with it where ``CI`` is set."""
    reason = f"{what} is not installed: {how}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def library(name):
    """Import and return the module *name*."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return absent(f"{name} ({error})")


def libraries(*names):
    """All of these can be imported; they are not, because some change the process."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            absent(name)


def installed(path):
    """*path* of something that the servers' script installs."""
    if path is not None and Path(path).exists():
        return path
    return absent(path, "run tests/backends/install.sh")
