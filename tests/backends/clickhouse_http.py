"""ClickHouse's own engine (chdb) behind ClickHouse's HTTP interface; a test's server.

chdb lives in this process and has no port; what it answers is the engine's own. Inserts
and statements only, one at a time. ``python clickhouse_http.py PORT FOLDER``.
"""

import gzip
import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from chdb.session import Session

SETTINGS = ("insert_deduplication_token", "date_time_input_format")
INSERT = re.compile(r"INSERT INTO (\S+) FORMAT (\w+)")
WRONG = {"26", "27", "33", "53", "62", "117", "469"}
MISSING = {"60", "81"}
LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One request, one query."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Keep quiet."""

    def do_POST(self):
        """Run the query of the URL with the body as its data, or the body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        asked = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        status, answer, headers = 200, b"", {}
        try:
            with LOCK:
                answer = run(asked, body)
        except RuntimeError as error:
            answer = str(error).encode()
            code = (re.search(rb"Code: (\d+)", answer) or [b"", b"1000"])[1].decode()
            status = 400 if code in WRONG else 404 if code in MISSING else 500
            headers = {"X-ClickHouse-Exception-Code": code}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)


def run(asked, body):
    """The engine's answer; its errors are RuntimeErrors."""
    insert = INSERT.fullmatch(asked.get("query", ""))
    if insert is None:
        return bytes(SESSION.query(body.decode(), "JSONEachRow").bytes() or b"")
    settings = ", ".join(f"{n} = '{asked[n]}'" for n in SETTINGS if n in asked)
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        SESSION.query(
            f"INSERT INTO {insert[1]} FROM INFILE '{file.name}' "
            f"SETTINGS {settings} FORMAT {insert[2]}"
        )
    return b""


if __name__ == "__main__":
    SESSION = Session(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
