"""Who leads: whoever holds the lock; the others ask again five times a second."""

import math
import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from probekit.buffer.locks import make_private_directory
from probekit.buffer.trouble import FilesLost, NotOurs
from probekit.delivery.term import Office, Term
from probekit.delivery.wake import EventBell
from probekit.errors import BufferBusy, BufferFailed
from probekit.latch import Latch
from probekit.notice import notice
from probekit.patience import Patience
from probekit.thread import Thread, is_beginning, is_cradle

if TYPE_CHECKING:
    from probekit.buffer.store import Store

POLL_S = 0.2
_CHECK_S = 2.0  # between two looks whether the files are still ours
_NEVER = float("inf")


class Leader:
    """Stands for office, leads, and steps down in good order.

    Attributes:
        is_leading: Whether this process leads now.
        term: The term of office; None while somebody else leads.
        delivered_all: Whether nothing was left undelivered at the end.
    """

    def __init__(
        self,
        office: Office,
        *,
        on_unusable: "Callable[[Exception], None] | None" = None,
        give_up_after_s: float = _NEVER,
    ) -> None:
        """Wire it; nothing runs yet.

        Args:
            office: What to lead with.
            on_unusable: Called on the leader's thread, which ends then, when the
                buffer turns out to be somebody else's, or is lost to this process.
            give_up_after_s: Longest wait for office, seconds.

        """
        self.term: Term | None = None
        self.delivered_all = False
        self._office = office
        self._clock = office.clock
        self._on_unusable = on_unusable
        self._give_up_s = self._clock.monotonic_s() + give_up_after_s
        self._patience = Patience("leader", "leading the buffer", clock=self._clock)
        self._kick = EventBell(longest_s=math.inf)
        self._finish_by_s: float | None = None
        self._farewell: Callable[[Store], None] | None = None
        self._ended = Latch()
        self._thread: threading.Thread | None = None

    @property
    def is_leading(self) -> bool:
        """Whether this process leads now."""
        return self.term is not None

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> bool:
        """Start the thread, unless it runs; say whether it runs now."""
        if self.is_alive:
            return True
        if is_cradle() or is_beginning(self._thread):
            return False
        self._thread = Thread(self.run, "probekit-leader")  # known before it runs
        try:
            self._thread.start()
        except RuntimeError as error:
            self._thread = None
            notice("leader-start", f"the leader could not start: {error}")
            return False
        return True

    def hurry(self) -> None:
        """Somebody flushes: stand for office, or look at the segments, at once."""
        self._kick.ring()
        self._office.bell.ring()

    def finish(self, by_s: float) -> None:
        """End, delivering until *by_s* on the monotonic clock; does not wait."""
        self._finish_by_s = by_s
        self.hurry()

    def retire(self, by_s: float, farewell: "Callable[[Store], None]") -> None:
        """Likewise, and *farewell* sees the buffer once nobody uses it any more.

        Args:
            by_s: Until when exporters may deliver, on the monotonic clock.
            farewell: Called on the leader's thread, before a buffer in memory goes.

        """
        self._farewell = farewell
        self.finish(by_s)

    def stand_aside(self) -> None:
        """Without a thread nobody leads here: let somebody else have the lock."""
        if not self.is_alive:
            self._let_go()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when it has not come in time."""
        if self._thread is None or self._thread is threading.current_thread():
            return True
        return self._ended.wait(max(0.0, timeout_s)) or not self.is_alive

    def run(self) -> None:
        """Stand for office and lead until told to finish; the thread's body."""
        # A local: in a raw-forked child this frame is leaked with its thread, so the
        # connection is never finalised there, which would undo the parent's locks.
        store = self._office.store
        try:
            self._office.on_start()
        except Exception as error:  # silence on our threads is a courtesy
            notice("leader-quiet", "could not silence the leader", error)
        try:
            while self._finish_by_s is None:
                if not self._patience.allows():
                    self._pause(POLL_S * 5)
                elif self._is_elected():
                    self._serve()
                elif self._clock.monotonic_s() >= self._give_up_s:
                    break
                else:
                    self._pause(POLL_S * (0.75 + random.random() / 2))  # noqa: S311 - jitter
        finally:
            self._say_farewell(store)
            with store.gate:
                self._let_go()
                store.dispose()  # a buffer in memory ends with whoever leads it
            self._ended.open()

    def _pause(self, seconds: float) -> None:
        self._kick.wait(seconds)

    def _is_elected(self) -> bool:
        lock = self._office.lock
        if lock is None:
            return True
        try:
            make_private_directory(lock.path.parent)
            with self._office.store.gate:  # no fork between the opening and the locking
                return lock.try_acquire()
        except OSError as error:
            notice("leader-lock", f"cannot stand for office, trying again: {error}")
            self._pause(POLL_S * 5)
            return False

    def _serve(self) -> None:
        try:
            term = self.term = Term(self._office)
        except BufferBusy:  # a fork interrupted us, or somebody's tool is at work
            self._pause(POLL_S / 4)
        except (NotOurs, FilesLost) as error:
            self._give_way(error)
        except (BufferFailed, OSError) as error:
            # The disk is full, or there is no descriptor left: the segments keep all.
            notice("leader-open", f"{error}; trying again")
            self._pause(POLL_S * 5)
        except Exception as error:
            self._patience.failed(error)
        else:
            self._lead(term)
        finally:
            self.term = None
            self._let_go()

    def _lead(self, term: Term) -> None:
        check_s = self._clock.monotonic_s() + _CHECK_S
        try:
            while self._finish_by_s is None:
                term.turn()
                self._patience.worked()
                self._office.meter.turn()
                if self._clock.monotonic_s() >= check_s:
                    check_s = self._clock.monotonic_s() + _CHECK_S
                    if not term.still_holds():
                        notice(
                            "replaced", "the buffer's files were replaced; reopening"
                        )
                        term.abort()
                        return
            self.delivered_all = term.finish(self._finish_by_s)
        except Exception as error:
            self._patience.failed(error)
            term.abort()

    def _give_way(self, error: Exception) -> None:
        self._finish_by_s = self._clock.monotonic_s()
        if self._on_unusable is not None:
            self._on_unusable(error)

    def _say_farewell(self, store: "Store") -> None:
        try:
            if self._farewell is not None:
                self._farewell(store)
        except Exception as error:
            notice("leader-end", "what memory still holds could not be read", error)

    def _let_go(self) -> None:
        try:
            self._office.store.close()
            self._office.bell.close()
            if self._office.lock is not None:
                self._office.lock.close()
        except Exception as error:
            notice("leader-end", "the buffer was not closed", error)
