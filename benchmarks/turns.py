"""Contenders in processes of their own that take turns, shuffled.

Libraries that time functions patch, start threads and share bytecode caches; in one
process they would disturb each other. Each measures the bare call in the same turn.
"""

import os
import random
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
SCALE = float(os.environ.get("PROBEKIT_BENCH_SCALE", "1"))


def rounds(number, least=3):
    """*number* of rounds, less where PROBEKIT_BENCH_SCALE is below 1."""
    return max(least, round(number * SCALE))


class Contender:
    """A child that answers each line on stdin with one line of numbers."""

    def __init__(self, *arguments, env=None):
        self._process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=HERE,
            env={**os.environ, **(env or {})},
        )

    @property
    def pid(self):
        return self._process.pid

    def ask(self, line=""):
        """The numbers of one answer; an empty tuple when it cannot do that."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._process.args} ended instead of answering")
        return tuple(map(float, answer.split()))

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def interleave(contenders, number, line="", warm=1):
    """Name → answers, asked in shuffled rounds; the first *warm* do not count."""
    found = defaultdict(list)
    for round_ in range(number + warm):
        for name in random.sample(list(contenders), len(contenders)):
            answer = contenders[name].ask(line)
            if answer and round_ >= warm:
                found[name].append(answer)
    return dict(found)


def shuffled(calls, number, warm=1):
    """Name → results of callables of this process, in shuffled rounds."""
    found = defaultdict(list)
    for round_ in range(number + warm):
        for name in random.sample(list(calls), len(calls)):
            result = calls[name]()
            if round_ >= warm:
                found[name].append(result)
    return dict(found)


class Over:
    """What an entry costs over its bare one, from pairs of the same turn."""

    def __init__(self, pairs):
        entries, bares = zip(*pairs, strict=True)
        differences = [a - b for a, b in pairs]
        self.quiet = min(entries) - min(bares)
        self.median = statistics.median(differences)
        quarters = statistics.quantiles(differences, n=4)
        self.low, self.high = quarters[0], quarters[2]

    def __str__(self):
        return (
            f"quiet {self.quiet:,.0f} ns, median {self.median:,.0f} ns, "
            f"middle half {self.low:,.0f} to {self.high:,.0f} ns"
        )


def spread(values, unit="", digits=1):
    """Minimum, median and middle half of *values*, in words."""
    if len(values) < 2:
        return f"one value: {values[0]:,.{digits}f}{unit}"
    low, middle, high = statistics.quantiles(values, n=4)
    return (
        f"min {min(values):,.{digits}f}{unit}, median {middle:,.{digits}f}{unit}, "
        f"middle half {low:,.{digits}f} to {high:,.{digits}f}{unit}"
    )
