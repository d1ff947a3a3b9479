"""Tables and views of a buffer: public, stable, documented for people who know SQL.

Times are nanoseconds since 1970 (``_unix_ns``), durations seconds. Percentiles cannot
be computed in plain SQL over stored histograms, so the leader keeps ``p50``, ``p95``
and ``p99`` of the running totals current at each close, and any SQLite client reads
them. A new file is made with plain ``sqlite3``: sqlite-utils costs 230 ms of import
and serves the tools instead.
"""

from zlib import crc32

from probekit.buffer.views import VIEWS

APPLICATION_ID = 0x70726F62  # "prob": tells our files from everybody else's
VERSION = 3
VERSION_KEY = "schema_version"  # in meta, see version.py

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE resource (
    id INTEGER PRIMARY KEY,
    attributes TEXT NOT NULL UNIQUE,
    last_seen_unix_ns INTEGER NOT NULL
);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    unit TEXT NOT NULL,
    attributes TEXT NOT NULL,
    description TEXT NOT NULL,
    ends_with_process INTEGER NOT NULL,
    count INTEGER NOT NULL DEFAULT 0,
    sum REAL NOT NULL DEFAULT 0,
    last REAL,
    min REAL,
    max REAL,
    p50 REAL,
    p95 REAL,
    p99 REAL,
    bins BLOB,
    updated_unix_ns INTEGER NOT NULL DEFAULT 0,
    crc INTEGER,
    total_crc INTEGER
);
CREATE INDEX series_name ON series (name);

CREATE TABLE window (
    id INTEGER PRIMARY KEY,
    start_unix_ns INTEGER NOT NULL,
    end_unix_ns INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    measurements INTEGER NOT NULL,
    merged INTEGER NOT NULL DEFAULT 1,
    crc INTEGER
);

CREATE TABLE point (
    window INTEGER NOT NULL,
    series INTEGER NOT NULL,
    count INTEGER NOT NULL,
    value REAL NOT NULL,
    total REAL,
    min REAL,
    max REAL,
    bins BLOB,
    crc INTEGER,
    PRIMARY KEY (window, series)
) WITHOUT ROWID;

CREATE TABLE event (
    number INTEGER PRIMARY KEY,
    window INTEGER NOT NULL,
    time_unix_ns INTEGER NOT NULL,
    name TEXT NOT NULL,
    severity INTEGER NOT NULL,
    body TEXT NOT NULL,
    attributes TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    crc INTEGER
);

CREATE TABLE problem (
    fingerprint TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    culprit TEXT NOT NULL,
    stack TEXT NOT NULL,
    first_seen_unix_ns INTEGER NOT NULL,
    last_seen_unix_ns INTEGER NOT NULL,
    count INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE span (
    number INTEGER PRIMARY KEY,
    window INTEGER NOT NULL,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_span_id TEXT NOT NULL,
    name TEXT NOT NULL,
    start_unix_ns INTEGER NOT NULL,
    end_unix_ns INTEGER NOT NULL,
    status INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    record TEXT NOT NULL,
    crc INTEGER
);
CREATE INDEX span_trace ON span (trace_id);

CREATE TABLE segment (
    name TEXT PRIMARY KEY,
    stream TEXT NOT NULL,
    offset INTEGER NOT NULL,
    ids BLOB NOT NULL,
    crc INTEGER
) WITHOUT ROWID;

CREATE TABLE stream (
    id TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    nets TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE cursor (
    exporter TEXT PRIMARY KEY,
    window INTEGER NOT NULL DEFAULT 0,
    series INTEGER NOT NULL DEFAULT 4611686018427387904,
    event INTEGER NOT NULL DEFAULT 0,
    span INTEGER NOT NULL DEFAULT 0,
    offered_window INTEGER NOT NULL DEFAULT 0,
    offered_series INTEGER NOT NULL DEFAULT 4611686018427387904,
    offered_event INTEGER NOT NULL DEFAULT 0,
    offered_span INTEGER NOT NULL DEFAULT 0,
    signals TEXT NOT NULL DEFAULT 'events,metrics,spans',
    last_error TEXT NOT NULL DEFAULT '',
    last_error_unix_ns INTEGER NOT NULL DEFAULT 0,
    delivered_unix_ns INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY,
    exporter TEXT NOT NULL,
    time_unix_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    records INTEGER NOT NULL,
    batch TEXT NOT NULL,
    crc INTEGER
);

CREATE TABLE refused (
    signal TEXT NOT NULL,
    record INTEGER NOT NULL,
    series INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (signal, record, series)
) WITHOUT ROWID;

CREATE TABLE loss (
    signal TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (signal, reason)
) WITHOUT ROWID;

CREATE TABLE account (
    signal TEXT PRIMARY KEY,
    recorded INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    counted INTEGER NOT NULL DEFAULT 0,
    last INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO account (signal) VALUES ('metrics'), ('events'), ('spans');
"""

# What is set at every open and read back; the defaults differ from build to build.
# No EXCLUSIVE locking: the command line reads while the leader writes, and leadership
# is guarded by flock instead.
PRAGMAS: "dict[str, int | str]" = {
    "journal_mode": "wal",
    "synchronous": 1,  # NORMAL: the death of a process loses nothing
    "wal_autocheckpoint": 0,  # checkpoints are the housekeeper's, never a commit's
    "journal_size_limit": 1 << 20,
    "cache_size": -2048,
    "mmap_size": 0,
    "temp_store": 2,
    "trusted_schema": 0,
    "secure_delete": 0,
    "busy_timeout": 100,
}


def version_text(number: int) -> str:
    """A version with its checksum."""
    return f"{number} {crc32(f'{VERSION_KEY} {number}'.encode()):08x}"


def script() -> str:
    """Everything a new file needs, as one transaction."""
    views = "".join(f"CREATE VIEW {name} AS {sql};\n" for name, sql in VIEWS.items())
    told = version_text(VERSION)
    said = f"INSERT INTO meta VALUES ('{VERSION_KEY}', '{told}');\n"  # noqa: S608
    return (
        f"BEGIN IMMEDIATE;\n{TABLES}\n{views}"
        f"{said}"
        f"PRAGMA application_id = {APPLICATION_ID};\n"
        f"PRAGMA user_version = {VERSION};\nCOMMIT;\n"
    )
