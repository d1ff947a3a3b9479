"""Celery: tasks on both sides, and the beat that sends them.

```python
from probekit.integrations.celery import Probekit

app = Celery("shop", broker="redis://127.0.0.1/0")
Probekit(app)
```

Call it in the module that defines the application: whoever sends, works or beats
imports that one. Tasks are recorded by ``libraries/celery``, the same that
``instrument_libraries("celery")`` switches on; the beat is recorded here.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from probekit.errors import ConfigError, MissingExtra
from probekit.integrations.libraries import instrument_libraries
from probekit.integrations.libraries.figures import OTHER, Durations, Names, Pairs
from probekit.notice import notice
from probekit.recording.attributes import type_name
from probekit.recording.instruments import gauge
from probekit.recording.quiet import is_disabled

if TYPE_CHECKING:
    from celery import Celery

_LAG = Durations(
    "probekit.celery.beat.lag",
    "Time from when an entry was due to when its task had been sent.",
)
_ENTRIES = Names(500)
_MARK = "_probekit_watched"


class Probekit:
    """Watches the tasks and the beat of Celery applications in this process."""

    def __init__(self, app: "Celery | None" = None) -> None:
        """Watch *app* now, or later through ``init_app``.

        Raises:
            ConfigError: *app* is not a Celery application.
            MissingExtra: Celery is not installed.

        """
        if app is not None:
            self.init_app(app)

    def init_app(self, app: "Celery") -> None:
        """Watch; Celery's signals are global, so a second application adds nothing.

        With ``PROBEKIT_DISABLE=1`` nothing is changed.

        Raises:
            ConfigError: *app* is not a Celery application.
            MissingExtra: Celery is not installed.

        """
        try:
            import celery
            from celery.signals import beat_init
        except ImportError as error:
            raise MissingExtra(
                "Celery is not installed: pip install celery",
            ) from error
        if not isinstance(app, celery.Celery):
            raise ConfigError(
                f"Probekit watches a celery.Celery, got {type(app).__qualname__}",
            )
        if is_disabled():
            return
        instrument_libraries(only="celery")
        beat_init.connect(_begins, weak=False, dispatch_uid="probekit-beat")


def _begins(sender: Any = None, **_facts: Any) -> None:
    """A beat begins: look at each turn of its scheduler and at each entry it sends."""
    try:
        scheduler = sender.scheduler
        if not hasattr(scheduler, _MARK):
            setattr(scheduler, _MARK, True)
            scheduler.tick = _ticking(scheduler.tick)
            scheduler.apply_async = _sending(scheduler.apply_async)
    except Exception as error:
        notice("celery-beat", "a Celery beat is not recorded", error)


def _ticking(tick: "Callable[..., Any]") -> "Callable[..., Any]":
    @wraps(tick)
    def ticking(*args: Any, **kwargs: Any) -> Any:
        interval = tick(*args, **kwargs)
        _tell(_note_tick)
        return interval

    return ticking


def _sending(apply_async: "Callable[..., Any]") -> "Callable[..., Any]":
    @wraps(apply_async)
    def sending(entry: Any, *args: Any, **kwargs: Any) -> Any:
        began_s = time.perf_counter()
        late_s = _late_s(entry)
        try:
            result = apply_async(entry, *args, **kwargs)
        except Exception as error:
            _tell(_note_sent, entry, late_s, began_s, type_name(type(error)))
            raise
        _tell(_note_sent, entry, late_s, began_s, "")
        return result

    return sending


def _tell(what: "Callable[..., None]", *facts: Any) -> None:
    try:
        what(*facts)
    except Exception as error:
        notice("celery-beat", "a turn of Celery's beat was not recorded", error)


def _note_tick() -> None:
    gauge(
        "probekit.celery.beat.last_tick",
        unit="s",
        description="When the beat last looked what is due, seconds since 1970.",
    ).set(time.time())


def _note_sent(entry: Any, late_s: float, began_s: float, error: str) -> None:
    pairs: Pairs = (
        ("celery.task_name", _bounded(entry.task)),
        ("celery.beat.entry", _bounded(entry.name)),
    )
    if error:
        pairs = (*pairs, ("error.type", error))
    _LAG.record(late_s + time.perf_counter() - began_s, pairs)


def _late_s(entry: Any) -> float:
    """Seconds since *entry* was due; 0 where its schedule cannot say."""
    try:
        remaining = entry.schedule.remaining_estimate(entry.last_run_at)
        return max(0.0, -float(remaining.total_seconds()))
    except Exception:  # a schedule of somebody else's making
        return 0.0


def _bounded(name: object) -> str:
    return _ENTRIES.bounded(name) if isinstance(name, str) and name else OTHER
