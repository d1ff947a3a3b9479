"""The servers of figures as sides of the outage: where to send, and how to ask them.

Each function starts one server, leaves its end to the stack, and says what it has of
``shop.operations`` and of the events ``operation``.
"""

import functools
import json
import re

import monitors
import promservers
import statsdserver
import timeseries
from outage import Again, Server, Side

from freeports import free_ports

# What was on its way when a server died that acknowledges nothing: less than two
# seconds of operations, of which an outage has more than six thousand.
ON_ITS_WAY = 1300


def influxdb(stack, folder):
    """HTTP, UDP, and the OpenTSDB listener."""
    ports = free_ports(7)
    server = Again(functools.partial(timeseries.influxdb, folder, ports))
    stack.callback(server.kill)

    def summed(database):
        rows = server.far.rows(
            'SELECT sum(value) AS v FROM "shop.operations"', database
        )
        return rows[0]["v"] if rows else None

    def last():
        query = 'SELECT last(value) AS v FROM "shop.operations"'
        rows = server.far.rows(query, "opentsdb")
        return rows[0]["v"] if rows else None

    def numbers(database):
        query = "SELECT attributes FROM events WHERE \"name\"='operation'"
        rows = server.far.rows(query, database)
        return [json.loads(row["attributes"])["number"] for row in rows]

    def side(backend, url, database, **more):
        here = functools.partial(numbers, database)
        return Side(backend, url, functools.partial(summed, database), here, **more)

    home = "127.0.0.1"
    return Server(
        f"InfluxDB {timeseries.package_version('influxdb')}",
        [
            side("`influxdb:`", f"influxdb://{home}:{ports[0]}/pk", "pk"),
            side(
                "`influxdb+udp:`",
                f"influxdb+udp://{home}:{ports[1]}",
                "udp",
                most_lost=ON_ITS_WAY,
            ),
            Side("`opentsdb:`", f"opentsdb://{home}:{ports[2]}", last),
        ],
        server.kill,
        server.start,
    )


def victoria_metrics(stack, folder):
    """OpenTSDB's telnet form, and InfluxDB's lines over TCP."""
    ports = free_ports(5)
    server = Again(functools.partial(timeseries.victoria_metrics, folder, ports))
    stack.callback(server.kill)

    def side(scheme, port, name):
        def total():  # two windows of one second stand there in any order
            found = server.far.values(f'{{__name__="{name}"}}')
            return max(found[0][1]) if found else None

        return Side(f"`{scheme}:`", f"{scheme}://127.0.0.1:{port}", total)

    return Server(
        f"VictoriaMetrics {timeseries.package_version('victoria-metrics')}",
        [
            side("opentsdb+telnet", ports[1], "shop.operations"),
            side("influxdb+tcp", ports[4], "shop.operations_total"),
        ],
        server.kill,
        server.start,
    )


def carbon(stack, folder):
    """Graphite, three ways into one server."""
    ports = free_ports(3)
    server = Again(functools.partial(timeseries.carbon, folder, ports))
    stack.callback(server.kill)

    def side(scheme, port, prefix):
        return Side(
            f"`{scheme}:`",
            f"{scheme}://127.0.0.1:{port}?prefix={prefix}.",
            lambda: server.far.last(f"{prefix}.shop.h1.shop.operations"),
        )

    return Server(
        f"carbon-cache {timeseries.package_version('graphite-carbon')}",
        [
            side("graphite", ports[0], "tcp"),
            side("graphite+udp", ports[0], "udp"),
            side("graphite+pickle", ports[1], "pickle"),
        ],
        server.kill,
        server.start,
    )


def prometheus(stack, folder):
    """Scraped and written to at once; a total that fell would be a reset."""
    port, scraped = free_ports(2)
    context = functools.partial(promservers.prometheus, folder, port, scrape=scraped)
    server = Again(context)
    stack.callback(server.kill)

    def side(backend, url, job, **more):
        series = f'shop_operations_total{{job="{job}"}}'

        def total():
            if server.far.value(f"resets({series}[5m])"):
                return None
            return server.far.value(f"max_over_time({series}[5m])")

        return Side(backend, url, total, **more)

    scrape = f"prometheus://127.0.0.1:{scraped}"
    written = f"prometheus-remote-write://127.0.0.1:{port}"
    return Server(
        f"Prometheus {timeseries.package_version('prometheus')}",
        [
            side("`prometheus:`", scrape, "probekit", fetches=True),
            side("`prometheus-remote-write:`", written, "shop"),
        ],
        server.kill,
        server.start,
    )


def pushgateway(stack, folder):
    """The gateway for jobs."""
    (port,) = free_ports(1)
    server = Again(functools.partial(promservers.pushgateway, folder, port))
    stack.callback(server.kill)

    def total():
        text = timeseries.fetch(f"http://127.0.0.1:{port}/metrics")
        found = re.search(r"^shop_operations_total\{.*\} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None

    return Server(
        f"Pushgateway {timeseries.package_version('prometheus-pushgateway')}",
        [Side("`pushgateway:`", f"pushgateway://127.0.0.1:{port}", total)],
        server.kill,
        server.start,
    )


def statsd(stack, folder):
    """StatsD over UDP and TCP; its counts die with it, so they are read before."""
    ports = free_ports(3)
    server = Again(functools.partial(statsdserver.server, folder, ports))
    stack.callback(server.kill)

    def side(scheme, port, prefix):
        def counted():
            counters = server.far.ask("counters")
            return float(counters.get(f"{prefix}.shop.operations", 0))

        url = f"{scheme}://127.0.0.1:{port}?prefix={prefix}."
        double = ON_ITS_WAY if scheme == "statsd+tcp" else 0
        more = {"most_lost": ON_ITS_WAY, "most_double": double, "held": counted}
        return Side(f"`{scheme}:`", url, counted, **more)

    sides = [side("statsd", ports[0], "udp"), side("statsd+tcp", ports[1], "tcp")]
    return Server("statsd (npm) 0.9.0", sides, server.kill, server.start)


def ganglia(stack, folder):
    """Gmond keeps one value of each metric."""
    (port,) = free_ports(1)
    server = Again(functools.partial(monitors.gmond, folder, port))
    stack.callback(server.kill)

    def total():
        shown = server.far.metrics().get("web1", {}).get("shop.operations_total")
        return float(shown["VAL"]) if shown else None

    url = f"ganglia://127.0.0.1:{port}?spoof=10.9.8.7:web1&metadata_s=0.5"
    sides = [Side("`ganglia:`", url, total)]
    name = f"gmond {monitors.gmond_version()}"
    return Server(name, sides, server.kill, server.start)


def collectd(stack, folder):
    """Collectd writes down every value."""
    (port,) = free_ports(1)
    context = functools.partial(timeseries.collectd, folder, port=port)
    server = Again(context)
    stack.callback(server.kill)

    def total():
        return server.far.last("h1/probekit-shop/derive-shop.operations")

    sides = [Side("`collectd:`", f"collectd://127.0.0.1:{port}", total)]
    name = f"collectd {timeseries.package_version('collectd-core')}"
    return Server(name, sides, server.kill, server.start)


def nsca(stack, folder):
    """NSCA's daemon alone, which writes Nagios' commands into a file."""
    (port,) = free_ports(1)
    folder.mkdir()
    home = monitors.Nagios(folder)
    server = Again(functools.partial(monitors.nsca, home, 0, port))
    stack.callback(server.kill)
    dump = folder / "dump"

    def said(pattern):
        text = dump.read_text("utf-8", "replace") if dump.exists() else ""
        return re.findall(pattern, text)

    def summed():
        return float(sum(map(int, said(r";shop\.operations;.*'value'=(\d+)"))))

    def numbers():
        return [int(number) for number in said(r"operation number=(\d+)")]

    url = f"nagios+nsca://:secret@127.0.0.1:{port}?host=pk-host&encryption=none"
    side = Side("`nagios+nsca:`", url, summed, numbers, ON_ITS_WAY, ON_ITS_WAY)
    name = f"nsca {timeseries.package_version('nsca')}"
    return Server(name, [side], server.kill, server.start)


def nagios(stack, _folder):
    """Nagios by its command file, told by its own log."""
    server = stack.enter_context(monitors.nagios(["shop.operations", "events"]))

    def summed():
        return float(sum(map(int, server.read(r";shop\.operations;.*'value'=(\d+)"))))

    def numbers():
        return [int(number) for number in server.read(r"operation number=(\d+)")]

    url = f"nagios:{server.command_file}?host=pk-host"
    side = Side("`nagios:`", url, summed, numbers, most_lost=ON_ITS_WAY)
    name = f"Nagios Core {monitors.nagios_version()}"
    return Server(name, [side], server.end, server.start)


MAKERS = {
    "influxdb": influxdb,
    "victoria-metrics": victoria_metrics,
    "carbon": carbon,
    "prometheus": prometheus,
    "pushgateway": pushgateway,
    "nsca": nsca,
    "nagios": nagios,
    "statsd": statsd,
    "ganglia": ganglia,
    "collectd": collectd,
}
