"""A Celery task that runs is a job under way until it ends, one way or the other."""

from time import perf_counter

import pytest

import needs
from probekit.integrations import libraries
from probekit.recording.registry import REGISTRY
from probekit.recording.underway.running import UNDERWAY, long_underway

pytestmark = pytest.mark.backend


def test_a_task_is_told_while_it_runs():
    needs.libraries("celery")
    import celery

    app = celery.Celery("shop", broker="memory://", set_as_current=False)
    seen = []

    @app.task(name="shop.ship", shared=False)
    def ship(order):
        seen.extend(long_underway(perf_counter() + 2.0))
        raise LookupError("no such order")

    libraries.instrument_libraries("celery")
    try:
        ship.apply(("A1",))
    finally:
        libraries.uninstall()
        app.close()
        REGISTRY.drain()
    (found,) = seen

    assert ("job", "shop.ship") == (found.kind, found.name)
    assert "shop.ship" == found.attributes["celery.task_name"]
    assert set() == UNDERWAY
