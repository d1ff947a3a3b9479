"""A receiver that says yes to everything and keeps nothing, in a process of its own.

Prints its HTTP port and its UDP port, and ends when stdin does.
"""

import socket
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from turns import HERE, Contender


class Yes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        self._drop()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def _drop(self):
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


@contextmanager
def nowhere():
    """Give the ports of a receiver: HTTP, UDP."""
    receiver = Contender(HERE / "nowhere.py")
    try:
        yield tuple(map(int, receiver.ask("ports")))
    finally:
        receiver.stop()


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Yes)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))  # never read: the kernel drops what is too much
    for _ in sys.stdin:
        print(server.server_address[1], datagrams.getsockname()[1], flush=True)


if __name__ == "__main__":
    main()
