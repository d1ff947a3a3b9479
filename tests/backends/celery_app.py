"""The application that a real Celery worker runs in ``test_celery.py``."""

import os

from celery import Celery

import probekit

probekit.instrument_libraries(["celery"])
URL = f"redis://127.0.0.1:{os.environ['CELERY_REDIS_PORT']}/0"
app = Celery("shop", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True

if "CELERY_BUFFER" in os.environ:
    probekit.configure(
        "shop-worker",
        buffer=os.environ["CELERY_BUFFER"],
        host_metrics=False,
        interval_s=0.5,
    )


@app.task(name="shop.add")
def add(a, b):
    return a + b


@app.task(name="shop.fail")
def fail():
    raise LookupError("no such order")


@app.task(name="shop.retried", bind=True, max_retries=2)
def retried(self):
    if self.request.retries < 1:
        raise self.retry(countdown=0.05)
    return self.request.retries


@app.task(name="shop.ids")
def ids():
    """The trace context that the task runs in."""
    from probekit.recording.registry import REGISTRY

    return list(REGISTRY.trace_ids())


@app.task(name="shop.waited")
def waited(a, b):
    """Like ``add``, with a series of its own."""
    return a + b


@app.task(name="shop.recycled")
def recycled():
    """The child that ran it."""
    return os.getpid()
