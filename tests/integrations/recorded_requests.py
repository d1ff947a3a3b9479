"""What a test of an integration asks the process's registry."""

from collections import Counter

from probekit.recording.registry import REGISTRY

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"


class Told:
    """Everything recorded since the last question, by metric name."""

    def __init__(self):
        self.harvest = harvest = REGISTRY.drain()
        self.events = harvest.events
        self.problems = harvest.problems
        self._values = {}
        self._levels = Counter()
        for series_id, values in harvest.raw:
            series = harvest.series[series_id]
            self._values.setdefault(series.name, []).append((series, list(values)))
        for index, series_id in enumerate(harvest.sum_ids):
            name = harvest.series[series_id].name
            self._levels[name] += harvest.sum_values[index]

    def of(self, name=DURATION):
        """The attributes of every recorded value of a histogram, one dict each."""
        return [
            dict(series.attributes)
            for series, values in self._values.get(name, ())
            for _ in values
        ]

    def values(self, name=DURATION):
        """The values of a histogram."""
        return [value for _, values in self._values.get(name, ()) for value in values]

    def level(self, name=ACTIVE):
        """What a counter or an up-down counter adds up to."""
        return self._levels[name]

    def sums(self, name):
        """The sums of a counter by its attributes."""
        harvest = self.harvest
        return {
            harvest.series[series_id].attributes: harvest.sum_values[index]
            for index, series_id in enumerate(harvest.sum_ids)
            if harvest.series[series_id].name == name
        }

    def routes(self, name=DURATION):
        """(route, status) of every recorded request, sorted."""
        return sorted(
            (found.get("http.route", ""), found.get("http.response.status_code", 0))
            for found in self.of(name)
        )
