"""Sends to a URL, in itself and in a forked child, and once where nobody listens."""

import dataclasses
import os
import sys

from probekit.errors import RetryLater
from probekit.exporters import build
from probekit.testing.contract import sample_batch


def sent(exporter, name):
    exporter.send(dataclasses.replace(sample_batch(), buffer_id=name))


def main(url, nobody):
    exporter = build(url)
    sent(exporter, "parent")
    child = os.fork()
    if child == 0:
        sent(exporter, "child")
        exporter.close()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    sent(exporter, "parent-again")
    exporter.close()
    try:
        build(nobody).send(sample_batch())
    except RetryLater:
        sys.exit(0)
    sys.exit("somebody listens")


if __name__ == "__main__":
    main(*sys.argv[1:])
