"""Starts real servers for one test each: own port, own folder, stopped by their pid.

Where a server is not installed the test is skipped; where ``CI`` is set it fails, so
that nothing is believed to be tested that was not. ``tests/backends/install.sh``
installs them.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from freeports import free_ports
from needs import installed

SERVERS = Path(
    os.environ.get("PROBEKIT_SERVERS") or Path(__file__).parents[2] / "var" / "servers"
)
READY_WITHIN_S = 15.0


def command(name):
    """The program *name* from the path."""
    return installed(shutil.which(name) or Path(name))


def eventually(question, timeout_s=10.0):
    """The first true answer of *question*, or its last one when time is over."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        answer = question()
        if answer or time.monotonic() > deadline_s:
            return answer
        time.sleep(0.05)


@contextlib.contextmanager
def running(arguments, folder, port, stop=signal.SIGTERM, **environment):
    """Run a server that listens on *port* over TCP; yields the path of its log.

    At the end it gets the signal *stop*.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    with log.open("ab") as output:  # of every start in this folder
        server = subprocess.Popen(
            [str(argument) for argument in arguments],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    try:
        wait_for_port(server, port, log)
        yield log
    finally:
        server.send_signal(stop)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(5)


def wait_for_port(server, port, log):
    """Wait until *server* listens; a port that somebody else answers does not count."""

    def listens():
        if server.poll() is not None:
            pytest.fail(f"{server.args[0]} ended: {log.read_text('utf-8', 'replace')}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        return False

    if not eventually(listens, READY_WITHIN_S):
        pytest.fail(f"{server.args[0]} does not listen on {port}")


@contextlib.contextmanager
def redis(folder):
    """A redis server without a disk; yields its port."""
    (port,) = free_ports(1)
    program = command("redis-server")
    options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running([program, "--port", port, *options], folder, port):
        yield port


@contextlib.contextmanager
def postgres():
    """A PostgreSQL server that trusts everybody on loopback; yields its port."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    home = installed(programs[-1] if programs else Path("/usr/lib/postgresql/bin"))
    (port,) = free_ports(1)
    with _owned_folder("postgres") as (folder, user):
        data = folder / "data"
        options = ["-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "--no-sync"]
        _run([*user, home / "initdb", "-E", "UTF8", "-D", data, *options], folder)
        settings = ["fsync=off", "synchronous_commit=off", "listen_addresses=127.0.0.1"]
        flags = [part for setting in settings for part in ("-c", setting)]
        server = [*user, home / "postgres", "-D", data, "-p", port, "-k", folder]
        # SIGTERM would wait until the last client has gone.
        with running([*server, *flags], folder, port, signal.SIGINT):
            yield port


@contextlib.contextmanager
def mariadb():
    """A MariaDB server whose root has no password over TCP; yields its port."""
    install, server = command("mariadb-install-db"), command("mariadbd")
    (port,) = free_ports(1)
    with _owned_folder("mysql") as (folder, user):
        data = f"--datadir={folder / 'data'}"
        account = f"--user={'mysql' if user else getpass.getuser()}"
        rights = "--auth-root-authentication-method=normal"
        _run(
            [install, "--no-defaults", account, data, rights, "--skip-test-db"], folder
        )
        options = [
            "--no-defaults",
            account,
            data,
            "--bind-address=127.0.0.1",
            f"--port={port}",
            f"--socket={folder / 's.sock'}",
            f"--pid-file={folder / 'pid'}",
            "--skip-log-bin",
            "--innodb-buffer-pool-size=64M",
        ]
        with running([server, *options], folder, port):
            yield port


@contextlib.contextmanager
def _owned_folder(account):
    """A folder of *account*'s, and how to become it: database servers refuse root.

    Not pytest's own folder: the account may not pass through that one.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{account}-"))
    try:
        user = []
        if os.geteuid() == 0:
            shutil.chown(folder, account)
            user = ["setpriv", f"--reuid={account}", f"--regid={account}"]
            user.append("--clear-groups")
        folder.chmod(0o755)
        yield folder, user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(arguments, folder):
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout.decode("utf-8", "replace"))
