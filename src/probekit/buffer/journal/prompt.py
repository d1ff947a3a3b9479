"""Segments on the disk before a durable event returns, for who has asked for that.

The sync is another thread's work, so that a disk that hangs holds its caller no longer
than a second. Callers that come together share one sync.
"""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from probekit.buffer.journal.segment_files import SegmentName, names
from probekit.buffer.journal.syncing import sync_places, sync_segment
from probekit.latch import Latch
from probekit.notice import in_words, notice
from probekit.thread import Thread

_WAIT_S = 1.0  # as long as an append waits for another one
_IDLE_S = 1.0  # then the thread ends; the next caller starts another


class _Request:
    """That a segment be synced, made by a thread that waits for it."""

    __slots__ = ("done", "error", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: Exception | None = None
        self.done = Latch()


class PromptSync:
    """Syncs a process's segments when asked, and says when it could not.

    Threads:
        Any; a signal handler's too. In a forked child make a new one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        may_thread: bool = True,
        missed: Callable[[], None] = lambda: None,
        wait_s: float = _WAIT_S,
    ) -> None:
        """Name the folder of segments; nothing is opened or started.

        Args:
            folder: Where the segments lie.
            may_thread: Whether threads may be started; without one, callers sync
                themselves and wait as long as the disk takes.
            missed: Called once for each call that was not served, one at a time.
            wait_s: Longest wait for the disk, seconds.

        """
        self._folder = folder
        self._may_thread = may_thread
        self._missed = missed
        self._wait_s = wait_s
        self._queue: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._late: _Request | None = None
        self._placed = ""

    def cover(self, name: str) -> bool:
        """Bring onto the disk what was appended to segment *name* before the call.

        Returns:
            Whether it is there; False has been told and counted. It returns within a
            second. While the disk keeps somebody waiting for longer, others get False
            at once.

        """
        late = self._late
        if late is not None and not late.done.is_open:
            return self._tell("the disk still hangs")
        request = _Request(name)
        if not (self._may_thread and self._hand_over(request)):
            self._serve([request])
        if not request.done.wait(self._wait_s):
            self._late = request
            return self._tell(f"the disk takes longer than {self._wait_s:g} s")
        return request.error is None or self._tell(in_words(request.error))

    def _tell(self, why: str) -> bool:
        with self._lock:
            self._missed()
        notice("durable-sync", f"a durable event is written but not synced: {why}")
        return False

    def _hand_over(self, request: _Request) -> bool:
        with self._lock:
            if self._thread is None:
                thread = Thread(self._run, "probekit-sync")
                try:
                    thread.start()
                except RuntimeError:  # no more threads, or the interpreter ends
                    return False
                self._thread = thread
            self._queue.put(request)
        return True

    def _run(self) -> None:
        while True:
            try:
                requests = [self._queue.get(timeout=_IDLE_S)]
            except queue.Empty:
                with self._lock:
                    if self._queue.empty():
                        self._thread = None
                        return
                continue
            with suppress(queue.Empty):
                while True:
                    requests.append(self._queue.get_nowait())
            self._serve(requests)

    def _serve(self, requests: "list[_Request]") -> None:
        asked = sorted({each.name for each in requests})
        errors = {name: self._sync(name) for name in asked}
        for each in requests:
            each.error = errors[each.name]
            each.done.open()

    def _sync(self, name: str) -> "Exception | None":
        try:
            for older in self._left_before(name):
                sync_segment(self._folder, older)
            sync_segment(self._folder, name)
            if name != self._placed:
                sync_places(self._folder, everywhere=not self._placed)
                self._placed = name
        except Exception as error:
            return error
        return None

    def _left_before(self, name: str) -> "list[str]":
        """Segments that the stream has left since the last sync; else there are holes.

        What was written last to one of them may be on no disk yet, and must be before
        anything later is.
        """
        mine = SegmentName.parse(name)
        if name == self._placed or mine is None:
            return []
        return [
            each.text
            for each in names(self._folder)
            if each.stream == mine.stream and self._placed <= each.text < name
        ]
