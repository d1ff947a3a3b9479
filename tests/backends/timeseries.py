"""The servers of the time-series backends; started as in ``servers``."""

import contextlib
import json
import pickle
import re
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from servers import command, eventually, running

from freeports import free_ports

TYPES_DB = Path("/usr/share/collectd/types.db")
INFLUXDB = """
reporting-disabled = true
bind-address = "127.0.0.1:{ports[6]}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{ports[0]}"
  log-enabled = false
[[udp]]
  enabled = true
  bind-address = "127.0.0.1:{ports[1]}"
  database = "udp"
  batch-timeout = "100ms"
[[opentsdb]]
  enabled = true
  bind-address = "127.0.0.1:{ports[2]}"
  database = "opentsdb"
  batch-timeout = "100ms"
[[graphite]]
  enabled = true
  protocol = "tcp"
  bind-address = "127.0.0.1:{ports[3]}"
  database = "graphite"
  batch-timeout = "100ms"
  templates = ["measurement*"]
[[collectd]]
  enabled = {collectd}
  bind-address = "127.0.0.1:{ports[5]}"
  database = "collectd"
  typesdb = "{types_db}"
  security-level = "none"
  parse-multivalue-plugin = "split"
  batch-timeout = "100ms"
"""


def fetch(url, data=None, timeout_s=5):
    """An answer's text; an error status is an answer too."""
    try:
        answer = urllib.request.urlopen(url, data, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.read().decode()


class Influx:
    """A running InfluxDB 1."""

    def __init__(self, ports):
        self.http, self.udp, self.opentsdb, self.graphite = ports[:4]
        self.collectd = ports[5]

    def query(self, text, database=""):
        """The series that a query finds."""
        query = urllib.parse.urlencode({"q": text, "db": database, "epoch": "ns"})
        url = f"http://127.0.0.1:{self.http}/query"
        found = json.loads(fetch(url, query.encode()))
        return found["results"][0].get("series", [])

    def rows(self, text, database):
        """The rows of the first series that a query finds, as dicts."""
        series = self.query(text, database)
        if not series:
            return []
        columns = series[0]["columns"]
        return [dict(zip(columns, row, strict=True)) for row in series[0]["values"]]


def package_version(name):
    """The version of an installed package, without its packager's part."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", name],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return re.split(r"[+-]", done.stdout or "unknown")[0]


@contextlib.contextmanager
def influxdb(folder, ports=None, stop=signal.SIGTERM):
    """An InfluxDB with all listeners; yields an ``Influx``."""
    program = command("influxd")
    folder.mkdir(parents=True, exist_ok=True)
    ports = ports or free_ports(7)
    config = INFLUXDB.format(
        ports=ports,
        folder=folder,
        types_db=TYPES_DB,
        collectd=str(TYPES_DB.exists()).lower(),
    )
    (folder / "influxdb.conf").write_text(config)
    arguments = [program, "run", "-config", folder / "influxdb.conf"]
    with running(arguments, folder, ports[0], stop):
        influx = Influx(ports)
        for database in ("pk", "opentsdb"):
            influx.query(f"CREATE DATABASE {database}")
        time.sleep(0.1)  # the other listeners come up after HTTP, and say nothing
        yield influx


class Victoria:
    """A running VictoriaMetrics."""

    def __init__(self, ports):
        self.http, self.opentsdb, self.opentsdb_http, self.graphite = ports[:4]
        self.influx = ports[4]

    def values(self, match):
        """All (labels, values) of the series that match, once there are any."""

        def ask():
            fetch(f"http://127.0.0.1:{self.http}/internal/force_flush")
            query = urllib.parse.urlencode({"match[]": match})
            text = fetch(f"http://127.0.0.1:{self.http}/api/v1/export?{query}")
            found = [json.loads(line) for line in text.splitlines()]
            return [(row["metric"], row["values"]) for row in found]

        return eventually(ask)

    def last(self, match):
        """The newest value of the one series that matches; None without one."""
        found = self.values(match)
        return found[0][1][-1] if found else None

    def thrown_away(self):
        """How many rows were not stored although they were accepted."""
        text = fetch(f"http://127.0.0.1:{self.http}/metrics")
        rows = re.findall(
            r"^vm_rows_(?:invalid|ignored)_total\S* (\d+)$", text, re.MULTILINE
        )
        return sum(map(int, rows))


@contextlib.contextmanager
def victoria_metrics(folder, ports=None, stop=signal.SIGTERM):
    """A VictoriaMetrics with all listeners; yields a ``Victoria``."""
    program = command("victoria-metrics")
    ports = ports or free_ports(5)
    names = ("http", "opentsdb", "opentsdbHTTP", "graphite", "influx")
    listen = [
        f"-{name}ListenAddr=127.0.0.1:{port}"
        for name, port in zip(names, ports, strict=True)
    ]
    options = ["-retentionPeriod=100y", "-search.latencyOffset=0s"]
    options += ["-search.disableCache", f"-storageDataPath={folder / 'data'}"]
    with running([program, *listen, *options], folder, ports[0], stop):
        yield Victoria(ports)


CARBON = """
[cache]
STORAGE_DIR = {folder}/
LOCAL_DATA_DIR = {folder}/whisper/
CONF_DIR = {folder}/
LOG_DIR = {folder}/
PID_DIR = {folder}/
DATABASE = whisper
USER =
MAX_UPDATES_PER_SECOND = inf
MAX_CREATES_PER_MINUTE = inf
MIN_TIMESTAMP_RESOLUTION = 1
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {ports[0]}
ENABLE_UDP_LISTENER = True
UDP_RECEIVER_INTERFACE = 127.0.0.1
UDP_RECEIVER_PORT = {ports[0]}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {ports[1]}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {ports[2]}
ENABLE_TAGS = False
CARBON_METRIC_INTERVAL = 0
"""


class Carbon:
    """A running carbon-cache."""

    def __init__(self, ports, folder):
        self.line, self.pickle, self._query = ports
        self.folder = folder

    def cached(self, path):
        """What the cache holds of a path, not yet in a file, oldest first."""
        question = pickle.dumps({"type": "cache-query", "metric": path}, protocol=2)
        place = ("127.0.0.1", self._query)
        with socket.create_connection(place, 5) as connection:
            connection.sendall(struct.pack(">I", len(question)) + question)
            with connection.makefile("rb") as answer:
                (size,) = struct.unpack(">I", answer.read(4))
                told = pickle.loads(answer.read(size))
        return [value for _, value in sorted(told["datapoints"])]

    def stored(self, path):
        """The values that the file of a path holds, oldest first."""
        file = self.folder / "whisper" / (path.replace(".", "/") + ".wsp")
        if not file.exists():
            return []
        begin = str(int(time.time()) - 3000)
        done = subprocess.run(
            [command("whisper-fetch"), "--json", f"--from={begin}", file],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        values = json.loads(done.stdout)["values"] if done.returncode == 0 else []
        return [value for value in values if value is not None]

    def last(self, path):
        """The newest value of a path, wherever it is; None without one."""
        found = self.cached(path) or self.stored(path)
        return found[-1] if found else None


@contextlib.contextmanager
def carbon(folder, ports=None, stop=signal.SIGTERM):
    """A carbon-cache; yields a ``Carbon``."""
    program = command("carbon-cache")
    folder.mkdir(parents=True, exist_ok=True)
    ports = ports or free_ports(3)
    text = CARBON.format(folder=folder, ports=ports)
    (folder / "carbon.conf").write_text(text)
    (folder / "storage-schemas.conf").write_text(
        "[all]\npattern = .*\nretentions = 1s:1h\n"
    )
    options = [f"--config={folder / 'carbon.conf'}", f"--logdir={folder}"]
    options += [f"--pidfile={folder / 'pid'}", "--nodaemon"]
    with running([program, *options, "start"], folder, ports[0], stop):
        yield Carbon(ports, folder)


COLLECTD = """
Hostname "ci"
FQDNLookup false
BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin logfile
<Plugin logfile>
  LogLevel info
  File stderr
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "{folder}/csv"
  StoreRates false
</Plugin>
LoadPlugin network
<Plugin network>
  <Listen "127.0.0.1" "{port}">
    SecurityLevel "{security}"
    AuthFile "{folder}/auth"
  </Listen>
</Plugin>
"""


class Collectd:
    """A running collectd."""

    def __init__(self, port, folder, log):
        self.port, self._folder, self._log = port, folder, log

    def last(self, identifier):
        """The newest value of ``host/plugin/type-name``; None without one.

        Its threads write in no order; each line begins with its time.
        """
        host, plugin, name = identifier.split("/")
        lines = [
            line
            for file in sorted(
                (self._folder / "csv" / host / plugin).glob(f"{name}-2*")
            )
            # The last one may be half written.
            for line in file.read_text().rpartition("\n")[0].splitlines()[1:]
        ]
        newest = max(lines, key=lambda line: float(line.split(",")[0]), default=",")
        return float(newest.split(",")[1]) if lines else None

    def log(self):
        """What it has said, at every start."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""


@contextlib.contextmanager
def collectd(folder, security="None", port=None, stop=signal.SIGTERM):
    """A collectd whose network user is ``pk`` with the password ``secret``."""
    program = command("collectd")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_ports(1)[0]
    (folder / "auth").write_text("pk: secret\n")
    config = COLLECTD.format(folder=folder, port=port, security=security)
    (folder / "collectd.conf").write_text(config)
    log = folder / "log"
    ready = "entering read-loop"
    started = Collectd(port, folder, log)
    before = started.log().count(ready)
    with log.open("ab") as output:
        server = subprocess.Popen(
            [program, "-f", "-C", folder / "collectd.conf"],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        if not eventually(lambda: started.log().count(ready) > before):
            pytest.fail(started.log())
        yield started
    finally:
        server.send_signal(stop)
        server.wait(10)
