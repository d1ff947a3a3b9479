"""Every panel of every dashboard shows what the stores were really sent."""

import contextlib

import dashboards
import pytest
from clickhouseserver import Engine, clickhouse
from promservers import prometheus
from searchservers import osmem
from servers import eventually
from sqlservers import postgres
from timeseries import carbon, influxdb, victoria_metrics

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]
STORES = [
    "prometheus",
    "influxdb",
    "graphite",
    "opentsdb",
    "elasticsearch",
    "postgres",
    "clickhouse",
]
STEP_S = dashboards.STEP_S


class Stores:
    """All stores, and the one application that has delivered to every one of them."""

    def __init__(self, servers, orders):
        self._servers, self.orders = servers, orders
        self._shown = {}

    def shown(self, store):
        """Title → line → numbers; asked once."""
        if store not in self._shown:
            self._shown[store] = self._ask(store)
        return self._shown[store]

    def kibana(self):
        """(section, title) → line → numbers of Kibana's visualisations."""
        return dashboards.kibana(self._servers["elasticsearch"])

    def _ask(self, store):
        server, asked = self._servers[store], dashboards.panels(store)
        if store == "graphite":
            targets = {title: target["target"] for title, target in asked.items()}
            return dashboards.graphite(server, targets)
        ask = getattr(dashboards, store)
        return {title: ask(server, target) for title, target in asked.items()}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dashboards")
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        found = {
            "prometheus": enter(prometheus(folder / "prometheus")),
            "influxdb": enter(influxdb(folder / "influxdb")),
            "graphite": enter(carbon(folder / "carbon")),
            "opentsdb": enter(victoria_metrics(folder / "victoria")),
            "elasticsearch": enter(osmem(folder / "osmem")),
            "postgres": enter(postgres(folder)),
            "clickhouse": Engine(enter(clickhouse(folder / "clickhouse"))),
        }
        urls = [
            f"prometheus-remote-write://127.0.0.1:{found['prometheus'].port}/api/v1/write",
            f"influxdb://127.0.0.1:{found['influxdb'].http}/pk",
            f"graphite://127.0.0.1:{found['graphite'].line}?tags=graphite",
            f"opentsdb://127.0.0.1:{found['opentsdb'].opentsdb_http}",
            found["elasticsearch"].url,
            found["postgres"].exporter_url,
            found["clickhouse"].url("pk"),
        ]
        orders = enter(dashboards.application(folder, urls))
        written = folder / "carbon" / "log"  # what it has not written it cannot show
        eventually(lambda: "metric shop.orders;" in written.read_text())
        yield Stores(found, orders)


@pytest.mark.parametrize("store", STORES)
def test_no_panel_is_empty(stores, store):
    shown = stores.shown(store)

    assert [] == [title for title, lines in shown.items() if not any(lines.values())]


@pytest.mark.parametrize("store", STORES)
def test_panels_tell_functions_routes_and_errors_apart(stores, store):
    shown = stores.shown(store)

    def named(title, *words):
        return sorted(w for w in words if any(w in line for line in shown[title]))

    assert ["shop.pay"] == named("Calls per second", "shop.pay")
    assert ["/broken", "/orders"] == named("Requests per second", "/orders", "/broken")
    assert ["/broken"] == named("Failed requests per second", "/orders", "/broken")
    assert ["200", "500"] == named("By status per second", "200", "404", "500")
    assert ["ValueError"] == named("Kinds of errors per second", "ValueError", "500")


# VictoriaMetrics shows the points that OpenTSDB's query would add up.
@pytest.mark.parametrize("store", [store for store in STORES if store != "opentsdb"])
def test_the_total_is_that_of_all_series(stores, store):
    (line,) = stores.shown(store)["Total"].values()

    assert stores.orders == pytest.approx(line[-1])


@pytest.mark.parametrize(
    "store", ["influxdb", "elasticsearch", "postgres", "clickhouse"]
)
def test_rates_are_per_second_and_add_up_to_what_happened(stores, store):
    shown = stores.shown(store)
    rates = [shown[title] for title in ("Rate per second", "Calls per second")]

    assert [stores.orders] * 2 == [
        pytest.approx(STEP_S * sum(map(sum, lines.values()))) for lines in rates
    ]


@pytest.mark.parametrize("store", STORES)
def test_the_mean_of_a_duration_is_a_duration(stores, store):
    shown = stores.shown(store)
    (means,), (worst,) = (
        shown[f"Duration, {what}"].values() for what in ("mean", "95th percentile")
    )

    assert 0 < max(means) <= 10 * max(worst)
    assert max(means) < 0.1


def test_no_visualisation_of_kibana_is_empty_and_rates_add_up(stores):
    shown = stores.kibana()
    (business,) = shown["Business", "Rate per second"].values()

    assert [] == [title for title, lines in shown.items() if not any(lines.values())]
    assert stores.orders == pytest.approx(STEP_S * sum(business))
    assert ["shop.orders"] == list(shown["Business", "Total"])
    assert stores.orders == shown["Business", "Total"]["shop.orders"][-1]
