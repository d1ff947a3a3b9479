"""PostgreSQL and MariaDB that a test may kill; SQLite beside them, for comparison."""

import contextlib
import getpass
import signal
from pathlib import Path

import servers
import sqlalchemy as sa
from killable import Killable

from freeports import free_ports
from needs import installed


class Database:
    """A database with one schema of ours, seen from a test.

    Args:
        url: SQLAlchemy's form.
        server: A Killable; None for a file.
    """

    def __init__(self, url, server=None):
        self.url, self.server = url, server
        self.exporter_url = f"sql+{url}"

    def rows(self, text):
        """What a query finds."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            return connection.execute(sa.text(text)).all()

    def change(self, *texts):
        """Run statements that change something."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            for text in texts:
                connection.execute(sa.text(text))

    def version(self):
        """Name and version, as it says it itself."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            numbers = connection.dialect.server_version_info[:3]
        name = {"postgresql": "PostgreSQL", "mariadb": "MariaDB"}.get(
            engine.dialect.name, "SQLite"
        )
        return f"{name} {'.'.join(map(str, numbers))}"


@contextlib.contextmanager
def sqlite(folder):
    """A file."""
    yield Database(f"sqlite:///{folder / 'theirs.db'}")


@contextlib.contextmanager
def postgres(_folder, driver="psycopg"):
    """PostgreSQL; dies as if the power had gone, and keeps what it committed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    home = installed(programs[-1] if programs else Path("/usr/lib/postgresql/bin"))
    (port,) = free_ports(1)
    with servers._owned_folder("postgres") as (folder, user):
        data = folder / "data"
        options = ["-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "--no-sync"]
        making = [*user, home / "initdb", "-E", "UTF8", "-D", data, *options]
        servers._run(making, folder)
        program = [*user, home / "postgres", "-D", data, "-p", port, "-k", folder]
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=20"]
        with Killable([*program, *settings], folder, port, signal.SIGQUIT) as server:
            url = f"postgresql+{driver}://postgres@127.0.0.1:{port}/postgres"
            database = Database(url, server)
            servers.eventually(lambda: _answers(database))
            yield database


@contextlib.contextmanager
def mariadb(_folder):
    """MariaDB; killed, it keeps what it committed."""
    install = servers.command("mariadb-install-db")
    program = servers.command("mariadbd")
    (port,) = free_ports(1)
    with servers._owned_folder("mysql") as (folder, user):
        account = f"--user={'mysql' if user else getpass.getuser()}"
        common = ["--no-defaults", account, f"--datadir={folder / 'data'}"]
        rights = "--auth-root-authentication-method=normal"
        servers._run([install, *common, rights, "--skip-test-db"], folder)
        options = [
            "--bind-address=127.0.0.1",
            f"--port={port}",
            f"--socket={folder / 's.sock'}",
            f"--pid-file={folder / 'pid'}",
            "--skip-log-bin",
            "--innodb-buffer-pool-size=64M",
        ]
        with Killable([program, *common, *options], folder, port) as server:
            root = f"mariadb+pymysql://root@127.0.0.1:{port}/"
            servers.eventually(lambda: _answers(Database(root)))
            Database(root).change("CREATE DATABASE pk")
            yield Database(root + "pk", server)


def _answers(database):
    with contextlib.suppress(sa.exc.OperationalError):
        return database.rows("SELECT 1")
    return None
