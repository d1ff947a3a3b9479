"""The limits that a user sets are the ones in force."""

import contextlib
import sqlite3

import pytest

pytestmark = pytest.mark.e2e


def test_limits_given_to_configure_are_in_force(stage):
    """Further sets go into the overflow series; further events are counted as lost."""
    out = stage.run(
        """
        configure(limits={"series": 3, "events": 5}, flush_interval_s=5)
        for n in range(10):
            probekit.count("shop.orders", plan=f"p{n}")
            probekit.event("order.paid", {"n": n})
        assert probekit.flush()
        import json
        print(json.dumps(probekit.status().dropped))
        """,
    )
    with contextlib.closing(sqlite3.connect(stage.buffer)) as connection:
        rows = connection.execute(
            "SELECT attributes, sum FROM series WHERE name = 'shop.orders'",
        ).fetchall()

    assert "queue_full" in out
    assert len(rows) == 4
    assert sum(total for _, total in rows) == 10
