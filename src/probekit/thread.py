"""The threads probekit starts: where none may be, and what none of them keeps."""

import sys
import threading
from typing import Any

__all__ = ["Thread", "is_beginning", "is_cradle"]


def is_cradle() -> bool:
    """Whether this process has only loaded the application, for uWSGI's workers.

    It forks them in C, past Python's hooks unless told otherwise, and holds the
    interpreter's lock until then. A thread that waits for that lock at this moment has
    asked for it to be given away: each worker would wait for ever for a thread to take
    it that only its parent has.
    """
    uwsgi: Any = sys.modules.get("uwsgi")  # made by the server, in its processes only
    if uwsgi is None:
        return False
    try:
        is_at_work = uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler()
    except Exception:  # some other module of that name
        return False
    return not is_at_work


def is_beginning(thread: "threading.Thread | None") -> bool:
    """Whether somebody was to start *thread* and its first step is still to come.

    It may never come: where a signal's handler raises in the midst of a start, nobody
    can say whether there is a thread now.
    """
    return thread is not None and thread.ident is None


class Thread(threading.Thread):
    """A daemon thread that hands on what a signal's handler raises in it.

    eventlet and gevent turn threads into green ones, which share the main thread. The
    handler of a signal then runs in whichever happens to run, and a ``SystemExit`` it
    raises would end a thread of ours, silently, instead of the application.
    """

    def __init__(self, target: Any, name: str, *args: Any) -> None:
        """Wire it; nothing runs yet.

        Args:
            target: What to run.
            name: Its name; begins with ``probekit-``.
            args: What to call *target* with.

        """
        super().__init__(target=target, name=name, args=args, daemon=True)

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: There can be no more threads, or may be none here.

        """
        if is_cradle():
            raise RuntimeError("uWSGI has not forked its workers yet")
        super().start()

    def run(self) -> None:
        """Run the target."""
        try:
            super().run()
        except Exception:
            raise
        except BaseException as error:
            if not _is_handed_on(error):
                raise


def _is_handed_on(error: BaseException) -> bool:
    """Have *error* raised in the hub, as if the green thread had let it through."""
    greenlets: Any = sys.modules.get("greenlet")
    current = greenlets and greenlets.getcurrent()
    if current is None or current.parent is None:
        return False

    def relay(*_: object) -> None:
        raise error

    # The thread has to end first, in good order.
    hub = current.parent
    if hasattr(hub, "loop"):  # gevent's, which lets no stranger be a parent
        hub.loop.run_callback(relay)
    else:  # a greenlet that ends wakes its parent
        current.parent = greenlets.greenlet(relay, hub)
    return True
