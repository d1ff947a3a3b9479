"""The rows of the fault matrix: what is done to us, and what we promise then.

Tests name the rows they prove (``@pytest.mark.row``); ``page.py`` puts both together.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: What happens.
        promise: What holds then.
        workload: Of the peers' program, where they were given the same fault.
    """

    fault: str
    promise: str
    workload: str = ""


PROCESS = {
    "P1": Row(
        "SIGKILL at a random moment of its first 0.4 s; in the middle of a write",
        "No durable event is lost; of others at most the last flush interval, without "
        "a hole; nothing twice; what was running is told by the next leader",
        "kill",
    ),
    "P2": Row("SIGTERM without a handler", "As SIGKILL; no handler of ours"),
    "P3": Row(
        "SIGTERM, SIGINT with the host's handler; an interrupt at any line of ours",
        "It is called, the exit status is the host's, nothing is lost",
    ),
    "P4": Row(
        "The end: normal, by an exception, `os._exit`, `os.abort`, exec; receiver up, "
        "down, slow, hanging",
        "At most 0.3 s longer; what was written is delivered by the next",
        "hang",
    ),
    "P5": Row("Receiver down at first", "Everything once when it comes back"),
    "P6": Row(
        "Receiver down, the process ends, another starts; two race for what is left",
        "Nothing lost, nothing twice; each record is sent by one of them",
        "outage",
    ),
    "P7": Row(
        "fork, raw fork, fork of a fork, in a thread, in a transaction, under load",
        "No child hangs, nothing is lost or repeated",
    ),
    "P8": Row(
        "multiprocessing: fork, spawn, forkserver, pools",
        "Nothing lost at a normal end of the children",
        "fork",
    ),
    "P9": Row(
        "gunicorn with preload, recycled workers, worker timeout, reload",
        "Totals over all workers are exact; a killed worker as P1",
    ),
    "P10": Row(
        "uWSGI with and without threads, a pause before it forks",
        "Nothing lost; no worker hangs; without threads written inline",
    ),
    "P11": Row(
        "Celery, gevent, eventlet, uvicorn with reload, a notebook's kernel",
        "Nothing lost",
    ),
    "P12": Row(
        "Stopped and continued (60 s); connections that died meanwhile",
        "No storm of requests, no window without length, nothing lost",
    ),
    "P13": Row(
        "Records from finalizers, exit hooks, threads that outlive the main one",
        "No traceback, no hang; what came before our own exit hook is delivered, what "
        "daemon threads do after it is kept but for 10 ms",
    ),
    "P14": Row(
        "No thread can be started, for a while or for want of memory",
        "Recording goes on inline; threads start later",
    ),
    "P15": Row("The host holds every descriptor", "No exception; nothing lost"),
    "P16": Row(
        "The host closes all descriptors and uses their numbers",
        "Its files stay byte for byte; recording goes on",
    ),
}

NETWORK = {
    "N1": Row("Slow receiver", "No call waits; exit as P4"),
    "N2": Row(
        "A receiver that hangs, never accepts, never reads",
        "One deadline a request; exit as P4",
    ),
    "N3": Row(
        "429, 503, `Retry-After` of any form",
        "Honoured up to an hour; garbage ignored; no send meanwhile",
    ),
    "N4": Row("400", "Halved until the bad record is alone; it becomes a dead letter"),
    "N5": Row("413", "Smaller and smaller; a record too large alone is buried"),
    "N6": Row("401, 403, 404", "The backlog stays; one probe in five minutes"),
    "N7": Row(
        "500, redirects, a login page with 200",
        "Dropped and counted; not followed; no acknowledgement",
    ),
    "N8": Row("Partial success", "Counted, not sent again"),
    "N9": Row(
        "Cut after sending, before the answer, at random; killed there",
        "Sent again byte for byte: a receiver that recognises it counts once",
    ),
    "N10": Row("Endless body, endless headers", "At most 64 KiB are read"),
    "N11": Row(
        "A name lookup that hangs, an address that moves",
        "Never by the host's threads, with a deadline; looked up anew",
    ),
    "N12": Row(
        "Flapping line, reordering; over UDP 30 % loss and repeats",
        "TCP: nothing lost. UDP is declared lossy: totals are right, the gap can be "
        "computed",
    ),
    "N13": Row(
        "200 clients come back after 10 min",
        "In the first 5 s at most twice the steady requests; a backlog takes half of "
        "the far side's time",
    ),
}

DISK = {
    "D1": Row(
        "Full, or limited",
        "What fits into memory is not lost, the rest has a number; goes on by itself",
    ),
    "D2": Row(
        "EIO, ENOSPC, half a write, failing fsync: once at each call, and for a while",
        "Nothing lost, nothing twice, integrity right",
    ),
    "D3": Row(
        "Each write and fsync is late",
        "Call p99 at most 50 µs, neither calls nor an event loop wait; the exit takes "
        "at most 2 s; nothing lost",
    ),
    "D4": Row(
        "Link, pipe or folder in the buffer's place; read-only; no folder",
        "One warning, memory; never followed, never touched; back to the file within "
        "30 s once it can be used, with all that memory held, once",
    ),
    "D5": Row(
        "Flipped, zeroed, foreign, cut, exchanged bytes and pages, at rest and in use",
        "No wrong value is sent, nothing twice; what is missing has a number; what is "
        "right is kept, at most three files are set aside",
    ),
    "D6": Row(
        "Deleted, renamed, replaced by an older copy, in use",
        "Noticed; a new one; nothing repeated; the loss has a number",
    ),
    "D7": Row(
        "Locked by a foreign tool (60 s)",
        "Call p99 at most 50 µs, no call waits; nothing lost",
    ),
    "D8": Row(
        "A viewer that reads for long",
        "File and log are at most 4 MiB above the cap, then it is left behind with the "
        "old file; the log shrinks after it; nothing lost",
    ),
    "D9": Row(
        "Cap and age reached with the receiver down",
        "Never larger than the cap and 4 MiB; the oldest go and are booked",
    ),
    "D10": Row(
        "Power loss: only what was synced is on the disk",
        "The last 5 s are lost at most, without a hole before them, durable events "
        "too; with `sync_durable` no durable event; the books balance, no number is "
        "given twice",
    ),
    "D11": Row("A network file system", "Refused"),
    "D12": Row("A buffer of a newer version", "Left alone"),
}

REST = {
    "T1": Row(
        "The clock steps by an hour, by ten years, to 1970, over summer time and 2038",
        "Nothing lost; no window empty or negative; durations are true",
    ),
    "R1": Row(
        "100,000 labels, 1 MB texts, odd names, NaN, infinities",
        "Bounded series and memory; sums exact; what is refused is counted",
    ),
    "R2": Row(
        "Storms of records and errors; hostile objects",
        "Counts exact; no call fails; nobody is asked to show himself",
    ),
    "R3": Row(
        "Handlers, callbacks, signals, finalisers that record; our own traffic",
        "Exact, no recursion, nothing hangs, no record about ourselves",
    ),
    "R4": Row(
        "15 min of load: events, threads that end, calls that fail",
        "RSS rises by at most 1 MB/h; nothing lost",
    ),
    "S1": Row(
        "Secrets in addresses, attributes, messages, locals; wrong certificates",
        "In no file, log, `repr`, status; refused, never plain text",
    ),
    "S2": Row(
        "Umask 0, planted links, files that another user has put in our place",
        "0600 and 0700; not followed; left alone",
    ),
    "S3": Row(
        "Import with `-I -O -W error`; libraries missing or broken",
        "No file, socket, thread; all is recorded",
    ),
}

GROUPS = {
    "The process": PROCESS,
    "The network": NETWORK,
    "The disk": DISK,
    "Clocks, load and secrets": REST,
}
ROWS = {name: row for rows in GROUPS.values() for name, row in rows.items()}
