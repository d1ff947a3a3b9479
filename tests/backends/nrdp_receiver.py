"""A receiver of NRDP's protocol that spools for a real Nagios; a test's server.

Made after the published description of the protocol: a form with ``token``, ``cmd`` and
``XMLDATA`` comes in, each result goes into Nagios' spool as a file, the answer is XML
with a status and how many were taken. ``python nrdp_receiver.py PORT SPOOL TOKEN``.
Told to end by SIGTERM it finishes the request that it is at, as web servers do: results
have no key, so what is spooled and not acknowledged comes twice.
"""

import os
import signal
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

AT_ONE = threading.Lock()  # request; whoever has it is not ended


class Refused(Exception):
    """The request is not as it should be."""


class Handler(BaseHTTPRequestHandler):
    """One request, any number of results."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Keep quiet."""

    def do_POST(self):
        """Take a form and answer as NRDP does: always with status 200."""
        with AT_ONE:
            self.answer()

    def answer(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
        form = {name: values[0] for name, values in parse_qs(body).items()}
        try:
            told = f"<status>0</status><message>OK</message>{taken(form)}"
        except Refused as error:
            told = f"<status>-1</status><message>{error}</message>"
        answer = f"<?xml version='1.0'?>\n<result>{told}</result>\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def taken(form):
    """Spool the results of a form; what the answer says of them."""
    if form.get("token") != TOKEN:
        raise Refused("BAD TOKEN" if form.get("token") else "NO TOKEN")
    if form.get("cmd") != "submitcheck":
        raise Refused("NO REQUEST HANDLER")
    try:
        document = ET.fromstring(form.get("XMLDATA", ""))
    except ET.ParseError:
        raise Refused("BAD XML") from None
    results = document.findall("checkresult")
    for result in results:
        spool(result)
    return f"<meta><output>{len(results)} checks processed.</output></meta>"


def spool(result):
    """A file of ``key=value`` lines, and an empty one beside it that says: complete."""
    lines = [
        f"start_time={time.time():.1f}",
        f"host_name={result.findtext('hostname')}",
        "check_type=1",
        "early_timeout=0",
        "exited_ok=1",
        f"return_code={result.findtext('state')}",
        "output=" + (result.findtext("output") or "").replace("\n", "\\n") + "\\n",
    ]
    if result.get("type") == "service":
        lines.insert(2, f"service_description={result.findtext('servicename')}")
    handle, name = tempfile.mkstemp(prefix="c", dir=SPOOL)
    # Nagios takes names of seven letters only, and reads as a user of its own.
    path = Path(name).rename(SPOOL / f"c{Path(name).name[1:7]}")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        os.fchmod(file.fileno(), 0o644)
    path.with_name(f"{path.name}.ok").touch()


if __name__ == "__main__":
    SPOOL, TOKEN = Path(sys.argv[2]), sys.argv[3]
    signal.signal(signal.SIGTERM, lambda *_: AT_ONE.acquire() and os._exit(0))
    address = ("127.0.0.1", int(sys.argv[1]))
    ThreadingHTTPServer(address, Handler).serve_forever()
