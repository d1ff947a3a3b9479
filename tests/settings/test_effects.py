from dataclasses import asdict
from pathlib import Path

from probekit.runtime.parts import build_store
from probekit.settings import load


def test_what_is_asked_of_retention_reaches_the_buffer():
    """Every limit, by its name."""
    asked = {
        "max_bytes": 2 << 20,
        "max_age_s": 61.0,
        "tail_s": 1.0,
        "minutes_s": 2.0,
        "keep_s": 3.0,
    }
    settings = load(environ={}, folder=Path("/"), service="x", retention=asked)

    assert asked == asdict(build_store(settings, None)._retention)
