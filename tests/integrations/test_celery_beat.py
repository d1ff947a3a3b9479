"""What a real Celery beat tells, over a broker in memory."""

import threading
import time

import pytest
from recorded_requests import Told

import needs
from probekit.errors import ConfigError
from probekit.integrations import libraries
from probekit.integrations.celery import Probekit
from probekit.recording.registry import REGISTRY

pytestmark = pytest.mark.backend

LAG = "probekit.celery.beat.lag"
TICK = "probekit.celery.beat.last_tick"


@pytest.fixture(scope="module")
def celery():
    return needs.library("celery")


@pytest.fixture
def app(celery):
    app = celery.Celery("shop", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {
        "often": {"task": "shop.refresh", "schedule": 0.02},
    }
    Probekit(app)
    yield app
    libraries.uninstall()
    app.close()


def beat(app, times, **options):
    """Run a beat until it has sent its entry *times* times, or failed to."""
    from celery.beat import Scheduler, Service

    sent = threading.Event()

    class Counting(Scheduler):
        applied = 0

        def apply_async(self, *args, **kwargs):
            type(self).applied += 1
            if self.applied >= times:
                sent.set()
            return super().apply_async(*args, **kwargs)

        def send_task(self, *args, **kwargs):
            if options.get("broken"):
                raise ConnectionError("no broker")
            return super().send_task(*args, **kwargs)

    service = Service(app, max_interval=0.01, scheduler_cls=Counting)
    running = threading.Thread(target=service.start)
    running.start()
    assert sent.wait(10)
    service.stop(wait=True)
    running.join(10)
    return Counting.applied


def test_every_entry_that_is_sent_is_counted_with_how_late_it_was(app):
    sent = beat(app, 3)
    told = Told()

    assert [
        {"celery.task_name": "shop.refresh", "celery.beat.entry": "often"}
    ] * sent == told.of(LAG)
    assert all(0 <= value < 5 for value in told.values(LAG))
    assert sent == told.level("messaging.client.sent.messages")


def test_a_beat_that_is_alive_says_when_it_last_looked(app):
    before_s = time.time()
    beat(app, 1)
    harvest = Told().harvest

    (last_s,) = (
        value
        for id_, value in zip(harvest.gauge_ids, harvest.gauge_values, strict=True)
        if harvest.series[id_].name == TICK
    )
    assert before_s <= last_s <= time.time()


def test_an_entry_that_cannot_be_sent_is_an_error_and_the_beat_goes_on(app):
    sent = beat(app, 2, broken=True)

    assert ["celery.beat.SchedulingError"] * sent == [
        found["error.type"] for found in Told().of(LAG)
    ]


def test_watched_twice_is_counted_once(app):
    Probekit().init_app(app)
    sent = beat(app, 2)

    assert sent == len(Told().of(LAG))


def test_a_fault_of_ours_does_not_reach_the_beat(app, monkeypatch):
    def fall(*_, **__):
        raise RuntimeError

    monkeypatch.setattr("probekit.integrations.celery._note_sent", fall)
    monkeypatch.setattr("probekit.integrations.celery._note_tick", fall)

    assert beat(app, 2) >= 2


@pytest.mark.usefixtures("celery")
def test_what_is_no_celery_application_is_refused_with_its_type():
    with pytest.raises(ConfigError, match="got dict"):
        Probekit({})


def test_a_disabled_probekit_listens_to_nothing(monkeypatch, celery):
    from celery.signals import beat_init

    beat_init.disconnect(dispatch_uid="probekit-beat")
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")
    app = celery.Celery("shop", broker="memory://", set_as_current=False)
    Probekit(app)
    app.close()

    assert not REGISTRY.drain().raw
    assert not beat_init.receivers
