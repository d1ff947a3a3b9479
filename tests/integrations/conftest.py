"""Makes the helper modules of this folder importable, and each test start empty."""

import sys
from pathlib import Path

import pytest

from probekit.recording.registry import REGISTRY

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _empty_registry():
    REGISTRY.drain()
    yield
    REGISTRY.drain()


collect_ignore = ["django_shop"]  # a Django project: importable in a running one only
