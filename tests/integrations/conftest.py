"""Makes the helper modules of this folder importable, and each test start empty."""

import logging
import sys
from pathlib import Path

import pytest

from probekit.integrations.logging import Handler
from probekit.recording.errors.problems import Problems
from probekit.recording.registry import REGISTRY

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _empty_registry():
    REGISTRY.drain()
    yield
    REGISTRY.drain()


@pytest.fixture
def logged(monkeypatch):
    """Whatever is logged is recorded; errors are grouped anew."""
    handler = Handler()
    logging.getLogger().addHandler(handler)
    monkeypatch.setattr(REGISTRY, "problems", Problems(REGISTRY))
    yield
    logging.getLogger().removeHandler(handler)


collect_ignore = ["django_shop"]  # a Django project: importable in a running one only
