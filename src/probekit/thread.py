"""The threads probekit starts, which never keep what was meant for the application."""

import sys
import threading
from typing import Any

__all__ = ["Thread"]


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
