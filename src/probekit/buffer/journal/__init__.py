"""One append-only file per process: frames of what was recorded, and how they are read.

Nothing here knows of SQLite: whoever records needs this much of the buffer and no more.
"""
