"""The servers of the classic monitoring systems; started as in ``servers``."""

import contextlib
import getpass
import gzip
import json
import random
import re
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from servers import (
    _owned_folder,
    command,
    eventually,
    free_ports,
    needed,
    postgres,
    running,
)

ZABBIX_SQL = Path("/usr/share/zabbix-server-pgsql")
ZABBIX_FRONTEND = Path("/usr/share/zabbix")
# What the server and its API need of the 32 MB that the package ships.
ZABBIX_ROWS = re.compile(
    r"^INSERT INTO \"?(hstgrp|role|role_rule|users|usrgrp|users_groups|config|"
    r"config_autoreg_tls|globalmacro|regexps|expressions)\"? ",
)
ZABBIX_SERVER = """
ListenIP=127.0.0.1
ListenPort={port}
LogType=console
PidFile={folder}/server.pid
SocketDir={folder}
DBHost=127.0.0.1
DBPort={database}
DBName=zabbix
DBUser=zabbix
CacheUpdateFrequency=1
StartPollers=1
StartPollersUnreachable=1
StartTrappers=3
StartPingers=0
StartDiscoverers=0
StartHTTPPollers=0
StartIPMIPollers=0
StartTimers=1
StartEscalators=1
StartAlerters=1
StartPreprocessors=1
StartLLDProcessors=1
StartDBSyncers=1
HousekeepingFrequency=0
"""
ZABBIX_PHP = """<?php
$DB = ['TYPE' => 'POSTGRESQL', 'SERVER' => '127.0.0.1', 'PORT' => '{database}',
 'DATABASE' => 'zabbix', 'USER' => 'zabbix', 'PASSWORD' => '', 'SCHEMA' => 'public',
 'ENCRYPTION' => false, 'KEY_FILE' => '', 'CERT_FILE' => '', 'CA_FILE' => '',
 'VERIFY_HOST' => false, 'CIPHER_LIST' => '', 'VAULT_URL' => '',
 'VAULT_DB_PATH' => '', 'VAULT_TOKEN' => '', 'DOUBLE_IEEE754' => true];
$ZBX_SERVER = '127.0.0.1'; $ZBX_SERVER_PORT = '{port}'; $ZBX_SERVER_NAME = 'pk';
$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
"""


class Zabbix:
    """A Zabbix: database, server and API; the server can be taken away."""

    def __init__(self, ports, folder, user):
        self.port, self.api, self.database = ports
        self._folder, self._user = folder, user
        self._token = None
        self._server = contextlib.ExitStack()

    def start(self):
        """Start the server; the database and the API go on without it."""
        config = self._folder / "server.conf"
        arguments = [*self._user, command("zabbix_server"), "-f", "-c", config]
        log = self._server.enter_context(
            running(arguments, self._folder / "server", self.port)
        )
        eventually(lambda: "trapper #1" in log.read_text("utf-8", "replace"))

    def stop(self):
        """Stop the server."""
        self._server.close()

    def call(self, method, parameters):
        """One call of the JSON-RPC API."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        if self._token:
            body["auth"] = self._token
        question = urllib.request.Request(
            f"http://127.0.0.1:{self.api}/api_jsonrpc.php",
            json.dumps(body).encode(),
            {"Content-Type": "application/json-rpc"},
        )
        with urllib.request.urlopen(question, timeout=20) as answer:
            said = json.loads(answer.read())
        if "error" in said:
            pytest.fail(f"{method}: {said['error']}")
        return said["result"]

    def login(self):
        """Log in as everybody does on the first day."""
        self._token = self.call("user.login", {"user": "Admin", "password": "zabbix"})

    def import_template(self, text):
        """Import a template."""
        rules = {
            part: {"createMissing": True, "updateExisting": True}
            for part in ("templates", "items", "discoveryRules", "triggers")
        }
        rules["groups"] = {"createMissing": True}
        parameters = {"format": "json", "rules": rules, "source": text}
        return self.call("configuration.import", parameters)

    def make_host(self, name, template):
        """Make a host with a template."""
        (found,) = self.call("template.get", {"filter": {"host": template}})
        self.call(
            "host.create",
            {
                "host": name,
                "groups": [{"groupid": "2"}],
                "templates": [{"templateid": found["templateid"]}],
            },
        )

    def keys(self, host):
        """The keys of a host's items."""
        found = self.call("item.get", {"host": host, "output": ["key_"]})
        return {item["key_"] for item in found}

    def history(self, host, key):
        """All values of an item, oldest first."""
        items = self.call(
            "item.get",
            {"host": host, "filter": {"key_": key}, "output": ["value_type"]},
        )
        if not items:
            return []
        kind = int(items[0]["value_type"])
        rows = self.call(
            "history.get",
            {
                "itemids": [items[0]["itemid"]],
                "history": kind,
                "sortfield": "clock",
                "limit": 100_000,
            },
        )
        return [float(r["value"]) if kind in {0, 3} else r["value"] for r in rows]


def zabbix_version():
    """What the program calls itself."""
    said = subprocess.run(
        [command("zabbix_server"), "-V"], capture_output=True, text=True, check=False
    ).stdout
    return re.search(r"\d+\.\d+\.\d+", said).group()


@contextlib.contextmanager
def zabbix():
    """A Zabbix server on PostgreSQL with its API; yields a ``Zabbix``."""
    needed(command("zabbix_server")), needed(ZABBIX_FRONTEND / "api_jsonrpc.php")
    with postgres() as database, _owned_folder("zabbix") as (folder, user):
        port, (api,) = _low_port(), free_ports(1)
        _load(database)
        settings = {"port": port, "folder": folder, "database": database}
        (folder / "server.conf").write_text(ZABBIX_SERVER.format(**settings))
        frontend = _frontend(folder, settings)
        arguments = [command("php"), "-S", f"127.0.0.1:{api}", "-t", frontend]
        with running(arguments, folder / "php", api):
            made = Zabbix((port, api, database), folder, user)
            if user:
                (folder / "server").mkdir()
                shutil.chown(folder / "server", "zabbix")
            made.start()
            try:
                made.login()
                yield made
            finally:
                made.stop()


def _low_port():
    """A free port below 32768: Zabbix listens on no other."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
            return port


def _load(database):
    schema = gzip.decompress((ZABBIX_SQL / "schema.sql.gz").read_bytes()).decode()
    rows = gzip.decompress((ZABBIX_SQL / "data.sql.gz").read_bytes()).decode()
    wanted = [line for line in rows.splitlines() if ZABBIX_ROWS.match(line)]
    text = "\n".join(["BEGIN;", schema, *wanted, "COMMIT;", ""])
    make = "CREATE ROLE zabbix LOGIN; "
    _psql(database, "postgres", "postgres", make)
    _psql(database, "postgres", "postgres", "CREATE DATABASE zabbix OWNER zabbix")
    _psql(database, "zabbix", "zabbix", text)


def _psql(port, user, database, text):
    done = subprocess.run(
        [
            command("psql"), "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
            "-p", str(port), "-U", user, database,
        ],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.fail(done.stderr[-2000:])


def _frontend(folder, settings):
    """A copy of the frontend that reads its settings from here and not from /etc."""
    copy = folder / "frontend"
    shutil.copytree(
        ZABBIX_FRONTEND,
        copy,
        ignore_dangling_symlinks=True,
        ignore=shutil.ignore_patterns("assets", "locale", "audio", "js", "COPYING"),
    )
    (copy / "zabbix.conf.php").write_text(
        ZABBIX_PHP.replace("{database}", str(settings["database"])).replace(
            "{port}", str(settings["port"])
        )
    )
    reader = copy / "include" / "classes" / "core" / "CConfigFile.php"
    text = reader.read_text()
    reader.chmod(0o644)
    reader.write_text(
        text.replace("/etc/zabbix/zabbix.conf.php", str(copy / "zabbix.conf.php"))
    )
    return copy


NAGIOS_CONFIG = """
log_file={folder}/nagios.log
cfg_file={folder}/objects.cfg
object_cache_file={folder}/objects.cache
precached_object_file={folder}/objects.precache
status_file={folder}/status.dat
status_update_interval=1
nagios_user={account}
nagios_group={account}
check_external_commands=1
command_file={folder}/rw/nagios.cmd
query_socket={folder}/rw/nagios.qh
lock_file={folder}/nagios.lock
temp_file={folder}/nagios.tmp
temp_path=/tmp
check_result_path={folder}/checkresults
check_result_reaper_frequency=1
log_rotation_method=n
use_syslog=0
accept_passive_service_checks=1
accept_passive_host_checks=1
enable_notifications=0
retain_state_information=0
interval_length=60
"""
NAGIOS_OBJECTS = """
define timeperiod {
 timeperiod_name 24x7
 alias all
 monday 00:00-24:00
 tuesday 00:00-24:00
 wednesday 00:00-24:00
 thursday 00:00-24:00
 friday 00:00-24:00
 saturday 00:00-24:00
 sunday 00:00-24:00
}
define command {
 command_name stale
 command_line /bin/sh -c "echo UNKNOWN: stale; exit 3"
}
define contact {
 contact_name nobody
 host_notifications_enabled 0
 service_notifications_enabled 0
 host_notification_period 24x7
 service_notification_period 24x7
 host_notification_options n
 service_notification_options n
 host_notification_commands stale
 service_notification_commands stale
}
define host {
 host_name pk-host
 address 127.0.0.1
 max_check_attempts 1
 active_checks_enabled 0
 check_period 24x7
 check_command stale
 contacts nobody
 notification_period 24x7
}
"""
NAGIOS_SERVICE = """
define service {{
 host_name pk-host
 service_description {service}
 check_command {check}
 active_checks_enabled {active}
 check_interval 0.02
 retry_interval 0.02
 passive_checks_enabled 1
 max_check_attempts 1
 check_period 24x7
 notification_period 24x7
 contacts nobody
}}
"""
NSCA_CONFIG = """
server_address=127.0.0.1
server_port={port}
command_file={folder}/rw/nagios.cmd
alternate_dump_file={folder}/dump
aggregate_writes=0
append_to_file=0
max_packet_age=30
password=secret
decryption_method={method}
debug=0
"""


class Nagios:
    """A running Nagios: a command file in, ``status.dat`` out."""

    def __init__(self, folder):
        self.folder = folder
        self.command_file = folder / "rw" / "nagios.cmd"
        self.spool = folder / "checkresults"

    def services(self):
        """Service → (state, output, performance data), as status.dat has them."""
        text = (self.folder / "status.dat").read_text("utf-8", "replace")
        found = {}
        for block in re.findall(r"servicestatus \{\n(.*?)\n\t\}", text, re.DOTALL):
            pairs = dict(re.findall(r"^\t(\w+)=(.*)$", block, re.MULTILINE))
            state = int(pairs["current_state"])
            said = pairs["plugin_output"], pairs["performance_data"]
            if pairs["has_been_checked"] == "1":
                found[pairs["service_description"]] = (state, *said)
        return found


def nagios_version():
    """What the program calls itself."""
    said = subprocess.run(
        [command("nagios4"), "-V"], capture_output=True, text=True, check=False
    ).stdout
    return re.search(r"\d+\.\d+\.\d+", said).group()


@contextlib.contextmanager
def nagios(services, checks=()):
    """A Nagios with passive *services*, and *checks*: service → command line.

    With checks it runs as whoever runs the tests: it must be able to run our Python.
    """
    program = command("nagios4")
    with _owned_folder("nagios") as (folder, dropping):
        user = [] if checks else dropping
        account = "nagios" if user else getpass.getuser()
        for name in ("rw", "checkresults"):
            (folder / name).mkdir()
        objects = [NAGIOS_OBJECTS]
        objects += [
            NAGIOS_SERVICE.format(service=service, check="stale", active=0)
            for service in services
        ]
        for number, (service, line) in enumerate(dict(checks).items()):
            name = f"check_{number}"
            objects.append(
                f"define command {{\n command_name {name}\n command_line {line}\n}}\n"
            )
            objects.append(NAGIOS_SERVICE.format(service=service, check=name, active=1))
        (folder / "objects.cfg").write_text("".join(objects))
        (folder / "nagios.cfg").write_text(
            NAGIOS_CONFIG.format(folder=folder, account=account)
        )
        if user:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "nagios", "nagios")
        log = folder / "out"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [str(a) for a in (*user, program, folder / "nagios.cfg")],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            made = Nagios(folder)
            status = folder / "status.dat"
            ready = eventually(
                lambda: (
                    server.poll() is not None
                    or (made.command_file.exists() and status.exists())
                )
            )
            if not ready or server.poll() is not None:
                pytest.fail(log.read_text("utf-8", "replace")[-2000:])
            yield made
        finally:
            server.terminate()
            server.wait(10)


@contextlib.contextmanager
def nsca(server, method):
    """An NSCA daemon that writes into *server*'s command file; yields its port."""
    (port,) = free_ports(1)
    config = server.folder / f"nsca-{method}.cfg"
    config.write_text(
        NSCA_CONFIG.format(port=port, folder=server.folder, method=method)
    )
    arguments = [command("nsca"), "-c", config, "-f"]
    with running(arguments, server.folder / f"nsca-{method}", port):
        yield port


GMOND_CONFIG = """
globals {{
 daemonize = no
 setuid = no
 debug_level = 0
 mute = no
 deaf = no
 host_dmax = 0
 cleanup_threshold = 300
 gexec = no
 send_metadata_interval = 5
 allow_extra_data = yes
}}
cluster {{
 name = "probekit"
}}
host {{
 location = "x"
}}
udp_send_channel {{
 host = 127.0.0.1
 port = {port}
 ttl = 1
}}
udp_recv_channel {{
 port = {port}
 bind = 127.0.0.1
}}
tcp_accept_channel {{
 port = {port}
 bind = 127.0.0.1
}}
modules {{
 module {{
  name = "core_metrics"
 }}
}}
collection_group {{
 collect_once = yes
 time_threshold = 20
 metric {{
  name = "heartbeat"
 }}
}}
"""


class Gmond:
    """A running gmond."""

    def __init__(self, port):
        self.port = port

    def metrics(self):
        """Host → metric → its attributes in the XML, extra elements included."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as line:
            text = b"".join(iter(lambda: line.recv(65536), b""))
        found = {}
        for host in ET.fromstring(text).iter("HOST"):
            metrics = found.setdefault(host.get("NAME"), {})
            for metric in host.iter("METRIC"):
                extra = {
                    each.get("NAME"): each.get("VAL")
                    for each in metric.iter("EXTRA_ELEMENT")
                }
                metrics[metric.get("NAME")] = {**metric.attrib, **extra}
        return found


def gmond_version():
    """What the program calls itself."""
    said = subprocess.run(
        [command("gmond"), "-V"], capture_output=True, text=True, check=False
    )
    return re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr).group()


@contextlib.contextmanager
def gmond(folder, port=None):
    """A gmond that takes packets and shows XML on the same port."""
    port = port or free_ports(1)[0]
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "gmond.conf"
    config.write_text(GMOND_CONFIG.format(port=port))
    with running([command("gmond"), "-c", config, "-f"], folder, port):
        yield Gmond(port)
