"""Makes the helper modules of this folder and of the exporters' importable.

Databases that only have to answer are started once for all tests of the folder.
"""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "exporters"))
sys.path.insert(0, str(Path(__file__).parent))

import servers


@pytest.fixture(scope="session")
def postgres():
    """The port of a PostgreSQL server."""
    with servers.postgres() as port:
        yield port


@pytest.fixture(scope="session")
def zabbix_server():
    """A Zabbix that knows the template; hosts are the tests' own."""
    import zabbixserver

    from probekit.exporters.zabbix.template import template

    with zabbixserver.zabbix() as running:
        running.import_template(json.dumps(template()))
        yield running


@pytest.fixture(scope="session")
def mariadb():
    """The port of a MariaDB server."""
    with servers.mariadb() as port:
        yield port
