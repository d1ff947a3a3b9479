"""An application with all that the dashboards ask for, until its input ends.

``python dashboard_app.py BUFFER URL…``: functions and requests that succeed and fail,
a business counter, the host; says how many orders there were when all is delivered.
"""

import contextlib
import json
import sys
import time

import flask

import probekit
from probekit.integrations.flask import Probekit

WINDOWS, INTERVAL_S = 8, 0.5


@probekit.probe(name="shop.pay")
def pay(amount):
    """Fails for every second customer."""
    if amount % 2:
        raise ValueError("no money")


def application():
    """Two routes, one of which fails."""
    app = flask.Flask("shop")
    Probekit(app)

    @app.get("/orders/<number>")
    def order(number):
        return number

    @app.get("/broken")
    def broken():
        return "no", 500

    return app.test_client()


def main(buffer, urls):
    """Work for some windows, flush, wait."""
    probekit.configure("shop", buffer=buffer, exporters=urls, interval_s=INTERVAL_S)
    client, orders = application(), probekit.counter("shop.orders", unit="{order}")
    until = time.monotonic() + WINDOWS * INTERVAL_S
    number = 0
    while time.monotonic() < until:
        number += 1
        with contextlib.suppress(ValueError):
            pay(number)
        client.get(f"/orders/{number}")
        client.get("/broken")
        orders.add(1, {"plan": "pro" if number % 3 else "basic"})
        time.sleep(0.05)
    probekit.flush(20)
    print(json.dumps(number), flush=True)
    sys.stdin.read()
    probekit.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
