"""The demo's last page: the books of both ends side by side, and what was measured."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

REQUESTS = "http.server.request.duration"


class Books:
    """What was sent, counted and delivered, from three independent sources.

    The driver counted what it sent and what was answered, the buffer says what
    probekit counted, and the receiver says what arrived.

    Attributes:
        rows: (what, sent, unfinished, counted, delivered) for each thing compared.
        balance: Whether nothing is missing beyond what was unfinished.
    """

    def __init__(self, driver, receiver, buffer, *, killed):
        """Compare."""
        self.killed = killed
        self.repeated = receiver.repeated
        self.rows = [
            (
                "requests",
                driver.sent,
                driver.unanswered,
                total(buffer, REQUESTS),
                receiver.delivered(REQUESTS),
            ),
            (
                "orders",
                sum(driver.orders.values()),
                0,
                total(buffer, "shop.orders"),
                receiver.delivered("shop.orders"),
            ),
            (
                "refunds, durable events",
                driver.answered("/orders/<int:number>/refund", 200),
                0,
                number(
                    buffer,
                    "SELECT count(*) FROM v_events WHERE name = 'order.refunded'",
                ),
                receiver.events["order.refunded"],
            ),
        ]

    @property
    def balance(self):
        """Whether sent = counted = delivered, but for the unfinished."""
        return not self.repeated and all(
            lost(row) == 0 and row[3] == row[4] for row in self.rows
        )


def lost(row):
    """Return how many are missing at the receiver."""
    _, sent, unfinished, _, delivered = row
    return sent - unfinished - delivered


def total(buffer, name):
    """Return what the buffer counted of a metric, over all its series."""
    return number(
        buffer,
        "SELECT sum(CASE kind WHEN 'histogram' THEN count ELSE sum END)"
        f" FROM series WHERE name = '{name}'",
    )


def number(buffer, statement):
    """Return the one number that *statement* asks for."""
    return round(buffer.execute(statement).fetchone()[0] or 0)


def show(books, buffer, *, path, lasted_s):
    """Print everything."""
    console = Console(width=None if sys.stdout.isatty() else 100)
    for table in (
        delivery_table(books),
        function_table(buffer, lasted_s),
        business_table(buffer),
        host_table(buffer),
        error_table(buffer),
    ):
        console.print(table)
    command = [sys.executable, "-m", "probekit", "status", "--buffer", str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    said = Text((answer.stdout or answer.stderr).strip())
    console.print(Panel(said, title="probekit status", expand=False))
    console.print(f"The buffer is {path}. Look into it:\n", highlight=False)
    for line in next_commands(path):
        console.print(f"  [bold]{line}[/bold]", highlight=False, soft_wrap=True)
    verdict = (
        "[bold green]Nothing was lost.[/bold green]"
        if books.balance
        else "[bold red]The books do not balance: see the first table.[/bold red]"
    )
    console.print(f"\n{verdict}")


def next_commands(path):
    """Return the commands to try next, as they work from this shell."""
    word = "probekit"
    if shutil.which(word) is None:  # the environment is not activated
        word = os.path.relpath(Path(sys.executable).with_name(word))
    return (
        f"{word} status --buffer {path}",
        f"{word} doctor --buffer {path}",
        f"{word} query --buffer {path} 'SELECT * FROM v_requests'",
        f"{word} query --buffer {path} 'SELECT * FROM v_errors' --json",
    )


def new_table(title, first, *columns):
    """Return an empty table: text on the left, figures on the right."""
    table = Table(title=title, title_justify="left", title_style="bold", expand=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def delivery_table(books):
    """Sent by the driver, counted, delivered, lost."""
    table = new_table(
        "From end to end",
        "what",
        "sent by driver",
        "unfinished at kill",
        "counted",
        "delivered",
        "lost",
    )
    for row in books.rows:
        what, sent, unfinished, counted, delivered = row
        missing = lost(row)
        table.add_row(
            what,
            f"{sent:,}",
            f"{unfinished:,}",
            f"{counted:,}",
            f"{delivered:,}",
            f"[green]{missing}[/green]" if missing == 0 else f"[red]{missing}[/red]",
        )
    if books.killed:
        table.caption = (
            f"Worker {books.killed} was killed (SIGKILL) in the middle of a request; "
            f"bodies that arrived twice: {books.repeated}."
        )
    return table


def function_table(buffer, lasted_s):
    """Calls, rate, errors and percentiles of each probed function."""
    table = new_table(
        "Functions", "function", "calls", "per second", "errors", "p50", "p95", "p99"
    )
    rows = buffer.execute(
        "SELECT function, calls, errors, p50, p95, p99 FROM v_functions"
    )
    for function, calls, errors, *percentiles in rows:
        table.add_row(
            escape(function),
            f"{calls:,}",
            f"{calls / lasted_s:.1f}",
            f"{errors:,}",
            *map(milliseconds, percentiles),
        )
    return table


def milliseconds(seconds):
    """Write a duration for people."""
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def business_table(buffer):
    """Show the shop's own counters and values."""
    table = new_table("Business", "what", "recorded", "total", "mean")
    rows = buffer.execute(
        "SELECT name, kind, unit, attributes, count, sum FROM series"
        " WHERE name GLOB 'shop.*' OR name GLOB 'cart.*' ORDER BY name, attributes"
    )
    for name, kind, unit, attributes, count, amount in rows:
        words = ", ".join(f"{k}={v}" for k, v in json.loads(attributes).items())
        mean = f"{amount / count:,.2f} {unit}" if kind == "histogram" else ""
        table.add_row(
            escape(f"{name} {{{words}}}" if words else name),
            f"{count:,}",
            f"{amount:,.0f} {unit}",
            mean,
        )
    events = "SELECT name, count(*) FROM v_events WHERE name != 'exception' GROUP BY 1"
    for name, count in buffer.execute(events):
        table.add_row(f"{name} (event)", f"{count:,}", "", "")
    return table


def host_table(buffer):
    """Show some of the host's and the processes' figures, as last read."""
    table = new_table("Host", "figure", "value")
    rows = buffer.execute(
        "SELECT name, attributes, value, unit FROM v_host WHERE name IN"
        " ('system.cpu.utilization', 'system.memory.usage', 'system.memory.limit',"
        " 'system.filesystem.utilization', 'system.uptime')"
    )
    figures = {}
    for name, attributes, value, unit in rows:
        words = tuple(
            word
            for key, word in json.loads(attributes).items()
            if key.endswith((".mode", ".state", ".mountpoint")) and word != "rw"
        )
        figures[(name, *words)] = amount_of(value, unit)
    for key, value in sorted(figures.items()):
        if key[1:] not in {("iowait",), ("nice",), ("interrupt",), ("steal",)}:
            table.add_row(escape(" ".join(key)), value)
    return table


def amount_of(value, unit):
    """Write a figure for people."""
    if unit == "1":
        return f"{value:.1%}"
    if unit == "By":
        return f"{value / 2**30:,.2f} GiB"
    return f"{value / 3600:,.1f} h" if unit == "s" else f"{value:,.0f} {unit}"


def error_table(buffer):
    """Show errors of one kind at one place, one row each."""
    table = new_table("Errors, grouped", "error", "count")
    table.add_column("where")
    table.add_column("last message")
    rows = buffer.execute("SELECT type, count, culprit, message FROM v_errors")
    for kind, count, culprit, message in rows:
        table.add_row(escape(kind), f"{count:,}", escape(culprit), escape(message))
    return table
