"""A Zabbix of one's own: database, server and API; started as in ``servers``."""

import contextlib
import gzip
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from servers import (
    _owned_folder,
    command,
    eventually,
    postgres,
    running,
)

from freeports import free_ports
from needs import installed
from probekit.errors import Forbidden, RetryLater

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
        log = self._folder / "server" / "log"

        def ready():
            return log.exists() and log.read_text("utf-8", "replace").count(
                "trapper #1"
            )

        before = ready()
        self._server.enter_context(running(arguments, log.parent, self.port))
        eventually(lambda: ready() > before)

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


def arrives(exporter, batch):
    """Whether the server takes it now."""
    try:
        exporter.send(batch)
    except (Forbidden, RetryLater):
        return False
    return True


def zabbix_version():
    """What the program calls itself."""
    said = subprocess.run(
        [command("zabbix_server"), "-V"], capture_output=True, text=True, check=False
    ).stdout
    return re.search(r"\d+\.\d+\.\d+", said).group()


@contextlib.contextmanager
def zabbix():
    """A Zabbix server on PostgreSQL with its API; yields a ``Zabbix``."""
    installed(command("zabbix_server")), installed(ZABBIX_FRONTEND / "api_jsonrpc.php")
    with postgres() as database, _owned_folder("zabbix") as (folder, user):
        port, api = free_ports(2)
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
