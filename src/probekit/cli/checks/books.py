"""The books: nothing is lost without a number, and the sums are right."""

from collections.abc import Iterator

from probekit.buffer.status import BufferStatus
from probekit.cli import paint
from probekit.cli.checks.finding import Finding, fail, ok, warn


def check_books(status: BufferStatus) -> "Iterator[Finding]":
    """Recorded = delivered + stored + dropped, for each signal."""
    for signal, account in status.accounts.items():
        dropped = sum(account.dropped.values())
        told = (
            f"recorded {account.recorded:,} = delivered {account.delivered:,} + "
            f"stored {account.stored:,} + dropped {dropped:,}"
        )
        if account.recorded != account.delivered + account.stored + dropped:
            yield fail(signal, f"the books do not balance: {told}")
        elif dropped:
            reasons = ", ".join(f"{r} {n:,}" for r, n in account.dropped.items() if n)
            yield warn(signal, f"{told} ({reasons})")
        else:
            yield ok(signal, told)
    for each in status.exporters:
        behind = f"{each.name} is {paint.age(each.lag_s)} behind"
        if each.last_error:
            yield warn("delivery", f"{behind}: {each.last_error}")
        else:
            yield ok("delivery", behind)
    if status.dead_letters:
        yield warn(
            "dead letters",
            f"{status.dead_letters:,} records were refused for ever; "
            "they stand in the table dead_letter",
        )
