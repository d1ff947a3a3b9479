"""What a process was doing, on disk for the case that it is killed.

A beat is a file of one frame with ready-made events, ``<time>-<pid>-<stream>.beat``
beside the segments, locked by the process that it speaks of and replaced as a whole
at each beat. A process that ends takes its beat away. When the lock is free and the
file is there, the process was killed: the leader renames the file to a segment, and
from then on it is one. The rename is the only step, so no leader's death makes the
events come twice or not at all.
"""

import os
from pathlib import Path

from probekit.buffer.journal import frames
from probekit.buffer.journal.segment_files import OpenSegment
from probekit.buffer.locks import (
    lock_descriptor,
    make_private_directory,
    open_private,
)
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.model import Event, Harvest

BEAT = ".beat"
_NEWBORN = ".beat.new"
_STALE_S = 60.0


class LastWords:
    """One process's beat.

    Threads:
        One at a time.
    """

    def __init__(self, directory: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Name the directory of the segments; nothing is made yet."""
        self._directory = Path(directory).absolute()
        self._clock = clock
        self._held: OpenSegment | None = None
        self._stem = ""

    def say(self, events: "list[Event]") -> None:
        """Leave *events* behind instead of what was left before; none is silence.

        Raises:
            OSError: What was left before is still there.

        """
        if not events:
            self.silence()
            return
        if not self._stem:
            time_ns, stream = self._clock.wall_ns(), os.urandom(8).hex()
            self._stem = f"{time_ns:016x}-{os.getpid()}-{stream}"
        data = frames.encode(
            Harvest(events=events),
            {},
            sequence=0,
            wall_ns=self._clock.wall_ns(),
            flags=frames.END_OF_STREAM,
        )
        previous, self._held = self._held, self._made(data)
        if previous is not None:
            previous.close()

    def silence(self) -> None:
        """Take the beat away: all is well, or the process ends by itself."""
        held, self._held = self._held, None
        if held is None:
            return
        try:
            found = (self._directory / held.name).lstat()
            if (found.st_dev, found.st_ino) == (held.device, held.inode):
                (self._directory / held.name).unlink()
        except OSError:  # gone with its folder
            return
        finally:
            held.close()

    def abandon(self) -> None:
        """In a forked child: the beat is the parent's; close, never unlock."""
        held, self._held, self._stem = self._held, None, ""
        if held is not None:
            held.close()

    def _made(self, data: bytes) -> OpenSegment:
        make_private_directory(self._directory)
        newborn = self._directory / (self._stem + _NEWBORN)
        newborn.unlink(missing_ok=True)
        descriptor = open_private(newborn, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            if not lock_descriptor(descriptor):
                raise BlockingIOError(f"{newborn} is locked by another process")
            if os.write(descriptor, data) != len(data):
                raise OSError(f"wrote only a part of {newborn}")
            found = os.fstat(descriptor)
            # Over the last one, which stays locked until this one has its name.
            newborn.replace(self._directory / (self._stem + BEAT))
        except BaseException:
            os.close(descriptor)
            newborn.unlink(missing_ok=True)
            raise
        return OpenSegment(self._stem + BEAT, descriptor, found.st_dev, found.st_ino)


def adopt(directory: Path) -> int:
    """Make segments of the beats whose processes are gone; how many there were.

    Threads:
        The leader's.
    """
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names, not paths
    except OSError:
        return 0
    adopted = 0
    for name in names:
        path = directory / name
        if name.endswith(BEAT):
            adopted += _adopted(path)
        elif name.endswith(_NEWBORN):
            _sweep(path)
    return adopted


def _adopted(path: Path) -> bool:
    """Whether *path* became a segment, the process being dead."""
    try:
        descriptor = open_private(path, os.O_RDWR)
    except OSError:  # its owner has just taken it away
        return False
    try:
        if not lock_descriptor(descriptor):
            return False
        ours, there = os.fstat(descriptor), path.lstat()
        # A living owner lets go of a file only after another one has its name.
        if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
            return False
        path.rename(path.with_suffix(".seg"))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _sweep(path: Path) -> None:
    """Remove what a process was killed over before it had its name."""
    try:
        age_s = SYSTEM_CLOCK.wall_ns() / 1e9 - path.stat().st_mtime
        if abs(age_s) > _STALE_S:
            path.unlink(missing_ok=True)
    except OSError:
        return
