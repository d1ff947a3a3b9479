import sys

import pytest

from probekit.settings.place import default_service


@pytest.mark.parametrize(
    "words",
    [
        ["python", "-m", "shop.worker", "--fast"],
        ["python", "-X", "dev", "-mshop.worker", "--fast"],
        ["python", "-Im", "worker", "--fast"],
    ],
)
def test_a_module_gives_its_name_before_python_has_found_it(words, monkeypatch):
    """As it is found later: a launcher and the program itself name one service."""
    monkeypatch.setattr(sys, "orig_argv", words)
    monkeypatch.setattr(sys, "argv", ["-m", "--fast"])

    assert "unknown_service:worker" == default_service()
    monkeypatch.setattr(sys, "argv", ["/srv/shop/worker.py", "--fast"])

    assert "unknown_service:worker" == default_service()
