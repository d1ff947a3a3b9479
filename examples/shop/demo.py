"""An outage and a kill -9, watched from both ends: ``make demo``.

Starts the shop under gunicorn and a receiver of its own, sends a known number of
requests, closes the receiver, kills a worker in the middle of a request, opens the
receiver again, and shows what was sent, counted, delivered and lost. Needs no network
beyond loopback and leaves no process behind.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
from driver import Driver
from figures import Books, show
from stage import stage

from receiver import Receiver

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "var" / "demo"

REQUESTS = 3000
PER_SECOND = 150.0  # at most; a busy machine takes longer
DOWN_AT, KILL_AT, UP_AT = 0.30, 0.50, 0.75  # shares of all requests
PAUSE_S = 4.0  # how long the slow report takes
KILL_AFTER_S = 1.5  # how far into it its worker is killed
PATIENCE_S = 25.0  # how long the receiver is waited for


class Shop:
    """The shop's server: a gunicorn master and its workers."""

    def __init__(self, folder, receiver_url):
        """Choose a port; start nothing yet."""
        self.port = free_port()
        self.buffer = folder / "buffer.db"
        self.environment = os.environ | {
            "SHOP_BIND": f"127.0.0.1:{self.port}",
            "SHOP_DATABASE": str(folder / "shop.db"),
            "PROBEKIT_BUFFER": str(self.buffer),
            "PROBEKIT_EXPORTERS": receiver_url,
            "PROBEKIT_INTERVAL_S": "1",  # short windows, to see things move
        }
        self._log = (folder / "gunicorn.log").open("wb")
        self._server = None

    def start(self):
        """Start the server; return when it answers."""
        self._server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py"],
            cwd=HERE,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is for us; we stop the server ourselves
        )
        end_s = time.monotonic() + 20
        while not answers(self.port):
            if self._server.poll() is not None or time.monotonic() > end_s:
                raise SystemExit(f"the shop did not start: see {self._log.name}")
            time.sleep(0.05)

    def workers(self):
        """Process ids of the workers."""
        return {child.pid for child in psutil.Process(self._server.pid).children()}

    def stop(self):
        """Stop the server as a deployment does; at last, by force."""
        server, self._server = self._server, None
        if server is None:
            return
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):  # as it should be: all gone
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        self._log.close()


def play(scene, shop, receiver, driver):
    """Tell the story; return the process id of the killed worker, or 0."""
    scene.say("receiver up, shop up: customers arrive")
    driver.start()
    scene.follow(driver, DOWN_AT)
    receiver.stop()
    scene.say("the receiver is gone; the shop does not notice")
    scene.follow(driver, KILL_AT)
    killed = kill_a_busy_worker(scene, shop, driver)
    scene.follow(driver, UP_AT)
    receiver.start()
    scene.say("the receiver is back; what waited in the buffer is on its way")
    scene.follow(driver, 1.0)
    while not driver.is_done:
        time.sleep(0.05)
    return killed


def kill_a_busy_worker(scene, shop, driver):
    """Send a slow request, and SIGKILL the worker that is busy with it.

    The worker answers one request at a time and has been busy with this one for
    longer than probekit takes to write down what was recorded: only this one is lost.
    """
    slow = f"/report?pause_s={PAUSE_S}"
    scene.aside(lambda: driver.send_one("GET", "/report", slow))
    time.sleep(KILL_AFTER_S)
    silent_since_s = time.monotonic() - KILL_AFTER_S / 2
    answering = {
        pid for pid, seen_s in driver.last_seen_s.items() if seen_s > silent_since_s
    }
    busy = shop.workers() - answering
    if len(busy) != 1:
        scene.say("both workers are answering: nobody was killed")
        return 0
    (victim,) = busy
    os.kill(victim, signal.SIGKILL)
    scene.say(f"kill -9 {victim}: a worker dies in the middle of a request")
    return victim


def settle(scene, shop, receiver, driver):
    """Wait for the deliveries, stop the shop, and send what its end left behind."""
    scene.say("all requests are sent: waiting for the last deliveries")
    name = "http.server.request.duration"
    expected = driver.sent - driver.unanswered
    end_s = time.monotonic() + PATIENCE_S
    while receiver.delivered(name) < expected and time.monotonic() < end_s:
        time.sleep(0.1)
    shop.stop()
    ship = [sys.executable, "-m", "probekit", "ship", "--once"]
    subprocess.run(
        [*ship, "--buffer", str(shop.buffer)],
        env=shop.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )


def main(arguments=None):
    """Play the demo; return 0 when nothing was lost beyond what is explained."""
    options = parser().parse_args(arguments)
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    receiver = Receiver(free_port())
    shop = Shop(folder, receiver.url)
    driver = Driver(shop.port, options.requests, per_second=options.rate)
    try:
        with stage(options.requests) as scene:
            receiver.start()
            shop.start()
            begin_s = time.monotonic()
            killed = play(scene, shop, receiver, driver)
            lasted_s = time.monotonic() - begin_s
            settle(scene, shop, receiver, driver)
        with contextlib.closing(
            sqlite3.connect(f"file:{shop.buffer}?mode=ro", uri=True)
        ) as buffer:
            books = Books(driver, receiver, buffer, killed=killed)
            show(books, buffer, path=shop.buffer, lasted_s=lasted_s)
        return 0 if books.balance else 1
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running")
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C changes nothing
        driver.stop()
        receiver.stop()
        shop.stop()


def parser():
    """Return the parser of the command line."""
    words = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = words.add_argument
    add("--requests", type=int, default=REQUESTS, help="how many the driver sends")
    add("--rate", type=float, default=PER_SECOND, help="requests a second, at most")
    add("--folder", type=Path, default=FOLDER, help="emptied first; has the buffer")
    return words


def free_port():
    """Return a port of loopback that nobody uses now, and no client will be given."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(15_000, 32_000)))
            return probe.getsockname()[1]


def answers(port):
    """Say whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def interrupted(_number, _frame):
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupted)
    sys.exit(main())
