"""What the process has recorded, as a fixture; libraries are put back after a test."""

import pytest

from probekit.integrations import libraries
from probekit.recording.registry import REGISTRY


class Recorded:
    """One look at the process's registry."""

    def __init__(self):
        harvest = REGISTRY.drain()
        self.events, self.problems = harvest.events, harvest.problems
        self.losses = harvest.losses
        self.durations = {}
        for series_id, chunk in harvest.raw:
            self._add(harvest.series[series_id], len(chunk))
        for series_id, binned in harvest.binned:
            self._add(harvest.series[series_id], binned.count)

    def _add(self, series, count):
        found = self.durations.setdefault(series.name, [])
        found.append((dict(series.attributes), count))

    def of(self, name):
        """[(attributes, number of values)] of a histogram."""
        return self.durations.get(name, [])

    def statements(self):
        """(operation, collection, error) → values, of database operations."""
        return {
            (
                found["db.operation.name"],
                found.get("db.collection.name", ""),
                found.get("error.type", ""),
            ): count
            for found, count in self.of("db.client.operation.duration")
        }


@pytest.fixture
def recorded():
    """A function that takes what was recorded since the last call."""
    libraries.uninstall()
    REGISTRY.drain()
    yield Recorded
    libraries.uninstall()
    REGISTRY.drain()
