"""The limits that a user sets are the ones in force."""

import contextlib
import sqlite3

import pytest

pytestmark = pytest.mark.e2e


def test_limits_given_to_configure_are_in_force(stage):
    """Further sets go into the overflow series; further events are counted as lost."""
    out = stage.run(
        """
        limits = {"series": 3, "process_series": 4, "events": 5}
        configure(limits=limits, flush_interval_s=5)
        for n in range(10):
            probekit.count("shop.orders", plan=f"p{n}")
            probekit.event("order.paid", {"n": n})
        for n in range(10):
            probekit.count("shop.visits", page=f"p{n}")
        assert probekit.flush()
        import json
        print(json.dumps(probekit.status().dropped))
        """,
    )
    with contextlib.closing(sqlite3.connect(stage.buffer)) as connection:
        rows = connection.execute(
            "SELECT name, count(*), sum(sum) FROM series WHERE name LIKE 'shop.%' "
            "GROUP BY name ORDER BY name",
        ).fetchall()

    assert "queue_full" in out
    assert [("shop.orders", 3 + 1, 10), ("shop.visits", 1 + 1, 10)] == rows
