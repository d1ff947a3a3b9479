"""Programs as a user writes them, each run in a process of its own."""

import os
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest


class Program:
    """Runs Python text, with one buffer for all; its path is the first argument."""

    def __init__(self, folder):
        self.folder = folder
        self.buffer = folder / "state" / "buffer.db"
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PROBEKIT_", "OTEL_", "COV_"))
        } | {"XDG_STATE_HOME": str(folder / "xdg"), "PYTHONWARNINGS": "default"}

    def write(self, text):
        path = self.folder / f"program-{time.monotonic_ns()}.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def start(self, text, *arguments, **settings):
        return self.spawn(self.write(text), self.buffer, *arguments, **settings)

    def spawn(self, *words, **settings):
        return subprocess.Popen(
            [sys.executable, *map(str, words)],
            env=self.environment | {k: str(v) for k, v in settings.items()},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, text, *arguments, code=0, timeout_s=50, **settings):
        process = self.start(text, *arguments, **settings)
        return self.ended(process, code=code, timeout_s=timeout_s)

    def ended(self, process, *, code=0, timeout_s=50):
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"did not end within {timeout_s} s\n{out}\n{err}")
        assert process.returncode == code, f"{out}\n{err}"
        self.err = err
        return out

    def sql(self, statement, *values):
        connection = sqlite3.connect(f"file:{self.buffer}?mode=ro", uri=True)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()


def wait_until(condition, timeout_s=20.0):
    """Poll until *condition* holds; say whether it did."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())
