"""The customers of the demo: a known number of requests, at a steady pace."""

import http.client
import json
import random
import threading
import time
from collections import Counter

PLANS = ("free", "basic", "pro")
NO_ANSWER = 0


class Driver:
    """Sends exactly *total* requests from a few threads and keeps the books.

    Attributes:
        sent: Requests sent so far.
        answers: (method, route, status) → how many; status 0 is no answer.
        last_seen_s: Worker's process id → when it last answered, monotonic.
    """

    def __init__(self, port, total, *, per_second, threads=6, seed=7):
        """Plan the requests; the same ones for the same seed."""
        self.port = port
        self.total = total
        self.sent = 0
        self.answers = Counter()
        self.orders = Counter()  # plan → orders answered with 201
        self.last_seen_s = {}
        self._per_second = per_second
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._highest_order = 1
        self._stop = threading.Event()
        self._begin_s = 0.0
        self._taken = 0
        self._threads = [
            threading.Thread(target=self._work, daemon=True) for _ in range(threads)
        ]

    def start(self):
        """Begin to send, from threads of its own."""
        self._begin_s = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Send no more; what is under way ends."""
        self._stop.set()

    @property
    def is_done(self):
        """Whether every planned request has been sent and has ended."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def unanswered(self):
        """Requests that got no answer."""
        return sum(
            count
            for (_, _, status), count in self.answers.items()
            if status == NO_ANSWER
        )

    def answered(self, route, status):
        """How many requests of a route got that status."""
        return sum(
            count
            for (_, path, code), count in self.answers.items()
            if (path, code) == (route, status)
        )

    def send_one(self, method, route, path, body=None):
        """Send one request more than the plan has; used for the slow one."""
        self._send(method, route, path, body)

    def _work(self):
        while not self._stop.is_set():
            with self._lock:
                if self._taken >= self.total:
                    return
                number, self._taken = self._taken, self._taken + 1
                request = self._choose()
            due_s = self._begin_s + number / self._per_second
            time.sleep(max(0.0, due_s - time.monotonic()))
            self._send(*request)

    def _choose(self):
        draw = self._random.random()
        number = self._random.randint(1, self._highest_order)
        if draw < 0.45:
            plan = self._random.choices(PLANS, (2, 5, 3))[0]
            order = {"plan": plan, "seats": self._random.randint(1, 20)}
            return "POST", "/orders", "/orders", order
        if draw < 0.70:
            return "GET", "/orders/<int:number>", f"/orders/{number}", None
        if draw < 0.91:
            return "POST", "/pay", "/pay", {"value": self._random.randint(1, 900)}
        if draw < 0.94:
            path = f"/orders/{number}/refund"
            return "POST", "/orders/<int:number>/refund", path, None
        if draw < 0.99:
            return "GET", "/report", "/report", None
        return "GET", "/report", "/report?days=0", None

    def _send(self, method, route, path, body):
        status, worker, answer = self._exchange(method, path, body)
        with self._lock:
            self.sent += 1
            self.answers[method, route, status] += 1
            if worker:
                self.last_seen_s[worker] = time.monotonic()
            if (route, status) == ("/orders", 201):
                self.orders[body["plan"]] += 1
                self._highest_order = max(self._highest_order, answer["id"])

    def _exchange(self, method, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        payload = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            return NO_ANSWER, 0, None
        finally:
            connection.close()
        answer = json.loads(text) if response.status == 201 else None
        return response.status, int(response.headers.get("X-Worker", 0)), answer
