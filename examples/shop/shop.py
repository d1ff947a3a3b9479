"""A small shop, watched by probekit. Written to be copied from.

Run it alone with ``flask --app shop run``, or as a server does with
``gunicorn --config gunicorn.conf.py``. Where the data goes is said by the environment:
``PROBEKIT_EXPORTERS=otlp://127.0.0.1:4318`` and ``PROBEKIT_BUFFER=/path/to/buffer.db``.
"""

import os
import random
import sqlite3
import time
from contextlib import closing

from flask import Flask, Response, abort, request

import probekit
from probekit.integrations.flask import Probekit

# 1. Say who is speaking. Everything else has a default or comes from the environment.
probekit.configure("shop")

app = Flask(__name__)

# 2. Watch the requests: durations by route and status, requests in flight, errors.
Probekit(app, exclude=["/health"])

# 3. Count business facts. Instruments are made once, where they are used.
cart_value = probekit.histogram(
    "cart.value", unit="EUR", description="Value of an order"
)

PRICES = {"free": 0.0, "basic": 9.0, "pro": 42.5}
DATABASE = os.environ.get("SHOP_DATABASE", "shop.db")
FAILING_PAYMENTS = float(os.environ.get("SHOP_FAILING_PAYMENTS", "0.08"))


class PaymentError(Exception):
    """The payment provider said no."""


def database() -> "closing[sqlite3.Connection]":
    connection = sqlite3.connect(DATABASE, timeout=10, isolation_level=None)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS orders"
        " (id INTEGER PRIMARY KEY, plan TEXT, seats INTEGER, value REAL)"
    )
    # Makes a query take its time, as one over a big table without an index would.
    connection.create_function("pause", 1, time.sleep)
    return closing(connection)


# 4. Time the functions that matter: one line gives calls, errors and percentiles.
@probekit.probe
def save_order(plan: str, seats: int, value: float) -> int:
    with database() as connection:
        cursor = connection.execute(
            "INSERT INTO orders (plan, seats, value) VALUES (?, ?, ?)",
            (plan, seats, value),
        )
        return int(cursor.lastrowid or 0)


@probekit.probe
def find_order(number: int) -> "dict[str, object] | None":
    with database() as connection:
        row = connection.execute(
            "SELECT plan, seats, value FROM orders WHERE id = ?", (number,)
        ).fetchone()
    return None if row is None else {"plan": row[0], "seats": row[1], "value": row[2]}


@probekit.probe
def charge(value: float) -> str:
    """Ask the provider for the money; it takes a moment and sometimes says no."""
    time.sleep(random.uniform(0.002, 0.008))
    if random.random() < FAILING_PAYMENTS:
        raise PaymentError(f"the provider declined {value:.2f} EUR")
    return f"receipt-{random.getrandbits(32):08x}"


@probekit.probe
def sales_by_plan(pause_s: float) -> "list[tuple[str, int, float]]":
    """Ask the slow question."""
    with database() as connection:
        connection.execute("SELECT pause(?)", (pause_s,)).fetchone()
        return connection.execute(
            "SELECT plan, count(*), sum(value) FROM orders GROUP BY plan"
        ).fetchall()


@app.post("/orders")
def create_order() -> "tuple[dict[str, object], int]":
    plan, seats = request.json["plan"], int(request.json["seats"])
    if plan not in PRICES:
        abort(400, f"no such plan: {plan}")
    value = PRICES[plan] * seats
    number = save_order(plan, seats, value)
    probekit.count("shop.orders", plan=plan)
    cart_value.record(value, {"plan": plan})
    return {"id": number, "value": value}, 201


@app.get("/orders/<int:number>")
def show_order(number: int) -> "dict[str, object]":
    return find_order(number) or abort(404)


@app.post("/orders/<int:number>/refund")
def refund_order(number: int) -> "dict[str, object]":
    order = find_order(number) or abort(404)
    # durable: on disk before this returns, so not even kill -9 can lose it.
    probekit.event(
        "order.refunded",
        {"order.id": number, "order.value": order["value"]},
        durable=True,
    )
    return {"refunded": order["value"]}


@app.post("/pay")
def pay() -> "dict[str, str]":
    return {"receipt": charge(float(request.json["value"]))}


@app.errorhandler(PaymentError)
def payment_failed(error: PaymentError) -> "tuple[dict[str, str], int]":
    return {"error": str(error)}, 402


@app.get("/report")
def report() -> "dict[str, object]":
    days = int(request.args.get("days", "30"))
    answer: dict[str, object] = {}
    for plan, orders, total in sales_by_plan(float(request.args.get("pause_s", 0.03))):
        # A bug that users find before we do: days=0 is a division by zero.
        answer[plan] = {"orders": orders, "per day": total / days}
    return answer


@app.get("/health")
def health() -> str:
    return "ok"


@app.after_request
def say_who_answered(response: Response) -> Response:
    response.headers["X-Worker"] = str(os.getpid())  # the demo kills one of them
    return response
