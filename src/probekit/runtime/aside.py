"""What the main thread has others do, because signals come to it.

Python takes a signal between any two lines of the main thread's. What the application's
handler raises there must not meet one that has a lock, a connection or a file to put
back in order: it meets one that waits, and the work goes on to its end.
"""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from probekit.clock import SYSTEM_CLOCK
from probekit.latch import Latch
from probekit.runtime.parts import silence

T = TypeVar("T")
_LOOK_S = 0.1  # between two looks whether anybody does it


class Starter(Protocol):
    """Who starts threads: a thread that no signal interrupts."""

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""

    def launch(self, work: "Callable[[], None]", name: str) -> None:
        """Do *work* soon, on a thread of that name."""


def aside(work: "Callable[[], T]", starter: Starter, timeout_s: float) -> T:
    """Do *work* and wait for it; on another thread if this is the main one.

    Args:
        work: What to do; what it raises is raised here.
        starter: Starts the other thread. Without one all is done here.
        timeout_s: Longest wait, seconds.

    Raises:
        TimeoutError: It is not done yet, and goes on.

    """
    is_main = threading.current_thread() is threading.main_thread()
    is_needed = is_main and starter.is_alive
    if not is_needed:
        return work()
    task = _Task(work)
    end_s = SYSTEM_CLOCK.monotonic_s() + timeout_s
    starter.launch(task.run, "probekit-aside")
    while not task.done.wait(_LOOK_S):
        if not (task.begun or starter.is_alive):
            return work()
        if SYSTEM_CLOCK.monotonic_s() >= end_s:
            raise TimeoutError(f"not done within {timeout_s:g} s")
    return task.result()


class _Task(Generic[T]):
    """Work for another thread."""

    def __init__(self, work: "Callable[[], T]") -> None:
        self.begun = False
        self._work = work
        self._found: list[T] = []
        self._failure: BaseException | None = None
        self.done = Latch()

    def run(self) -> None:
        self.begun = True
        try:
            silence()
            self._found.append(self._work())
        except BaseException as error:
            self._failure = error
        finally:
            self.done.open()

    def result(self) -> T:
        if self._failure is not None:
            raise self._failure
        return self._found[0]
