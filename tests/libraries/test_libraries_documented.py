from pathlib import Path

import pytest

from probekit.integrations.libraries.catalogue import LIBRARIES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_every_library_is_in_the_reference(name):
    assert f"| `{name}` |" in (DOCS / "reference" / "libraries.md").read_text("utf-8")
