"""Files of the kernel's that are read again and again, through descriptors kept open.

To open one takes about as long as to read it. The host may close our descriptors and
give their numbers to files of its own: each is looked at before it is read. A forked
child opens its own, because ``/proc/self`` is whoever opened it.
"""

import os
from contextlib import suppress

from probekit.descriptor import Held

_MOST_BYTES = 1 << 16
# The kernel hands out whole lines, about a page of them at a time: what is shorter by
# more than a line was all there is.
_SURELY_ALL_BYTES = 3072


class KeptFile:
    """A file of ``/proc``, read from its beginning each time.

    Where no descriptor can be had (too many are open), or the system does not read at
    a position, that is the error of the reading; the next one tries again.
    """

    __slots__ = ("_held", "_path", "_pid")

    def __init__(self, path: str) -> None:
        """Open nothing yet."""
        self._path = path
        self._held: Held | None = None
        self._pid = 0

    def read(self) -> bytes:
        """Return what the file says now.

        Raises:
            OSError: It is not there, not for us, or there is no descriptor left.

        """
        held = self._held
        if held is None or self._pid != os.getpid() or not held.is_ours():
            held = self._open()
        chunk = os.pread(held.number, _MOST_BYTES, 0)
        if len(chunk) < _SURELY_ALL_BYTES:
            return chunk
        chunks, size = [chunk], len(chunk)
        while chunk:
            chunk = os.pread(held.number, _MOST_BYTES, size)
            chunks.append(chunk)
            size += len(chunk)
        return b"".join(chunks)

    def _open(self) -> Held:
        self.close()
        number = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._held = Held.of(number)
        except BaseException:  # nobody else knows the number
            os.close(number)
            raise
        self._pid = os.getpid()
        return self._held

    def close(self) -> None:
        """Close the descriptor, if it is still ours; the next reading opens again."""
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def __del__(self) -> None:
        """Leave no descriptor behind, in a forked child neither."""
        with suppress(Exception):  # the interpreter ends: there is nobody to tell
            self.close()


def number(text: bytes, key: bytes, end: bytes = b"\n") -> int:
    """The number between *key* and *end*.

    Raises:
        ValueError: There is no such line.

    """
    start = text.index(key) + len(key)
    return int(text[start : text.index(end, start)])
