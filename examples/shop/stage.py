"""What the demo says while it plays: a bar on a terminal, plain lines elsewhere."""

import contextlib
import threading
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_LINE_EVERY_S = 3.0


class Scene:
    """Follows the driver and tells what happens."""

    def __init__(self, total, console, progress=None):
        """Tell on *console*; move the bar of *progress*, if there is one."""
        self._total = total
        self._console = console
        self._progress = progress
        self._task = progress.add_task("requests", total=total) if progress else None
        self._begin_s = time.monotonic()
        self._next_line_s = 0.0

    def say(self, text):
        """Tell what happens now."""
        moment_s = time.monotonic() - self._begin_s
        self._console.print(f"[dim]{moment_s:5.1f} s[/dim]  {text}", highlight=False)

    def aside(self, act):
        """Let *act* happen on a thread of its own."""
        threading.Thread(target=act, daemon=True).start()

    def follow(self, driver, share):
        """Return when that share of the requests has been sent."""
        goal = int(self._total * share)
        while driver.sent < goal and not driver.is_done:
            self._show(driver.sent)
            time.sleep(0.05)
        self._show(driver.sent)

    def _show(self, sent):
        if self._progress is not None:
            self._progress.update(self._task, completed=sent)
        elif time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + _LINE_EVERY_S
            self.say(f"{sent:,} of {self._total:,} requests sent")


@contextlib.contextmanager
def stage(total):
    """Give a scene; its bar is gone when the story ends."""
    console = Console()
    if not console.is_terminal:
        yield Scene(total, console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Scene(total, console, progress)
