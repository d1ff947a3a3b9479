from pathlib import Path

import pytest

from probekit.integrations.libraries.catalogue import LIBRARIES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_every_library_is_in_the_reference(name):
    assert f"| `{name}` |" in (DOCS / "reference" / "libraries.md").read_text("utf-8")


def test_the_door_for_celery_is_the_library(monkeypatch):
    from probekit.integrations import celery

    asked = []
    monkeypatch.setattr(celery, "instrument_libraries", asked.append)
    celery.instrument()

    assert ["celery"] == asked
