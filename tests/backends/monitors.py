"""Nagios, NSCA and gmond of one's own; started as in ``servers``."""

import contextlib
import getpass
import re
import shutil
import signal
import socket
import subprocess
from xml.etree import ElementTree as ET

import pytest
from servers import _owned_folder, command, eventually, running

from freeports import free_ports

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
process_performance_data=1
service_perfdata_file={folder}/perfdata
service_perfdata_file_template=$SERVICEDESC$;$SERVICEPERFDATA$
service_perfdata_file_mode=a
service_perfdata_file_processing_interval=0
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

    def __init__(self, folder, program=()):
        self.folder = folder
        self._program, self._server = program, None
        self.command_file = folder / "rw" / "nagios.cmd"
        self.spool = folder / "checkresults"

    def start(self):
        """Start it, again too, and wait until it reads commands."""
        status, log = self.folder / "status.dat", self.folder / "out"
        status.unlink(missing_ok=True)
        arguments = [str(a) for a in (*self._program, self.folder / "nagios.cfg")]
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                arguments, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT
            )

        def answers():
            ended = self._server.poll() is not None
            return ended or (self.command_file.exists() and status.exists())

        if not eventually(answers) or self._server.poll() is not None:
            pytest.fail(log.read_text("utf-8", "replace")[-2000:])

    def end(self, sign=signal.SIGKILL):
        """End it, by default without a farewell; its pipe stays."""
        self._server.send_signal(sign)
        self._server.wait(10)

    def read(self, pattern):
        """What is found in the commands that it has read, by its own log."""
        text = (self.folder / "nagios.log").read_text("utf-8", "replace")
        lines = [line for line in text.splitlines() if "EXTERNAL COMMAND" in line]
        return [found for line in lines for found in re.findall(pattern, line)]

    def performance(self, service, label):
        """Every value of a figure that any result brought, in no order."""
        path = self.folder / "perfdata"
        text = path.read_text("utf-8", "replace") if path.exists() else ""
        wanted = rf"^{re.escape(service)};.*'{label}'=([\d.-]+)"
        return [float(said) for said in re.findall(wanted, text, re.MULTILINE)]

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
        made = Nagios(folder, [*user, program])
        try:
            made.start()
            yield made
        finally:
            made.end(signal.SIGTERM)


@contextlib.contextmanager
def nsca(server, method, port=None, stop=signal.SIGTERM):
    """An NSCA daemon that writes into *server*'s command file; yields its port.

    While there is no command file it writes to ``dump`` in the same folder.
    """
    port = port or free_ports(1)[0]
    config = server.folder / f"nsca-{method}.cfg"
    config.write_text(
        NSCA_CONFIG.format(port=port, folder=server.folder, method=method)
    )
    arguments = [command("nsca"), "-c", config, "-f"]
    with running(arguments, server.folder / f"nsca-{method}", port, stop):
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
def gmond(folder, port=None, stop=signal.SIGTERM):
    """A gmond that takes packets and shows XML on the same port."""
    port = port or free_ports(1)[0]
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "gmond.conf"
    config.write_text(GMOND_CONFIG.format(port=port))
    with running([command("gmond"), "-c", config, "-f"], folder, port, stop):
        yield Gmond(port)
