"""Files of the kernel's that are read again and again, through descriptors kept open.

To open one takes about as long as to read it. The host may close our descriptors and
give their numbers to files of its own: each is looked at before it is read. Whoever
reads ``/proc/self`` takes new ones in a forked child: it is whoever opened it.
"""

import os
from contextlib import suppress
from fcntl import F_GETSIG, F_SETSIG, fcntl
from itertools import cycle
from struct import Struct

from probekit.descriptor import Held

# Most are shorter; the space for more would be taken from the system each time.
_FIRST_BYTES = 4096
_MORE_BYTES = 1 << 16
# The kernel hands out whole lines, about a page of them at a time: what is shorter by
# more than a line was all there is.
_SURELY_ALL_BYTES = 3072
# What an open file would signal, were it ever asked to: a note that the kernel keeps
# with it, and hands out at a third of what a look costs. A number for each of ours, for
# one may come to stand where another one stood.
_marks = cycle(range(1, 65))


class KeptFile:
    """A file of ``/proc`` or ``/sys``, read from its beginning each time.

    Where no descriptor can be had (too many are open), or the system does not read at
    a position, that is the error of the reading; the next one tries again.
    """

    __slots__ = ("_held", "_identity", "_mark", "_number", "_path")

    def __init__(self, path: str) -> None:
        """Open nothing yet."""
        self._path = path
        self._mark = next(_marks)
        self._held: Held | None = None
        self._number = -1
        self._identity = (0, 0)  # inode and device, as ``os.fstat`` has them

    def read(self, most_bytes: int = 0) -> bytes:
        """Return what the file says now.

        Args:
            most_bytes: How much of its beginning is wanted; 0 for all. The kernel
                writes many of its files while they are read: less is cheaper.

        Raises:
            OSError: It is not there, not for us, or there is no descriptor left.

        """
        try:
            if fcntl(self._number, F_GETSIG) != self._mark:
                self.look()
        except (OSError, ValueError):  # not open, or a sandbox knows no marks
            self.look()
        chunk = os.pread(self._number, most_bytes or _FIRST_BYTES, 0)
        if len(chunk) < _SURELY_ALL_BYTES or most_bytes:
            return chunk
        chunks, size = [chunk], len(chunk)
        while chunk:
            chunk = os.pread(self._number, _MORE_BYTES, size)
            chunks.append(chunk)
            size += len(chunk)
        return b"".join(chunks)

    def look(self) -> os.stat_result:
        """Say what the kernel knows of the file, which is open afterwards, and ours.

        Raises:
            OSError: It is not there, not for us, or there is no descriptor left.

        """
        try:
            found = os.fstat(self._number)
        except OSError:  # it was not open yet, or the host closed it
            return self._open()
        return found if found[1:3] == self._identity else self._open()

    def _open(self) -> os.stat_result:
        self.close()
        number = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(number)
        except BaseException:  # nobody else knows the number
            os.close(number)
            raise
        self._held = Held(number, found.st_dev, found.st_ino)
        self._number, self._identity = number, found[1:3]
        with suppress(OSError):  # unmarked, it is looked at each time
            fcntl(number, F_SETSIG, self._mark)
        return found

    def close(self) -> None:
        """Close the descriptor, if it is still ours; the next reading opens again."""
        held, self._held, self._number = self._held, None, -1
        if held is not None:
            held.close()

    def __del__(self, quietly: "type[suppress]" = suppress) -> None:
        """Leave no descriptor behind, in a forked child neither.

        Where the interpreter ends, modules are empty and there is nobody to tell.
        """
        with quietly(Exception):
            self.close()


class Lines:
    """Reads the numbers behind some keys, whose lines hardly move between readings.

    Where they stood is remembered as a layout, which one call checks and takes apart.

    Args:
        keys: Each the beginning of a line, with the line end before it.
        end: What follows each number; ends with a line end.

    Attributes:
        end_bytes: How much of the last text that was searched was needed.
    """

    __slots__ = ("_end", "_ends", "_keys", "_layout", "end_bytes")

    def __init__(self, *keys: bytes, end: bytes = b"\n") -> None:
        """Know no places yet."""
        self._keys, self._end = keys, end
        self._layout: Struct | None = None
        self._ends: tuple[bytes, ...] = ()
        self.end_bytes = 0

    def numbers(self, text: bytes) -> "list[int]":
        """The number of each key, in their order.

        Args:
            text: A line end, and the lines.

        Raises:
            ValueError: One of the lines is not there, or not whole.

        """
        layout = self._layout
        if layout is not None and len(text) >= layout.size:
            found = layout.unpack_from(text)
            if found[::3] == self._keys and found[2::3] == self._ends:
                return list(map(int, found[1::3]))
        return self._search(text)

    def _search(self, text: bytes) -> "list[int]":
        """Find them wherever they are."""
        places = []
        for key in self._keys:
            start = text.index(key)
            first = start + len(key)
            places.append((start, first, text.index(self._end, first)))
        self._learn(text, places)
        return [int(text[first:last]) for _, first, last in places]

    def _learn(self, text: bytes, places: "list[tuple[int, int, int]]") -> None:
        """Make the layout: numbers, and what must be as it was around each of them."""
        self._layout = None
        end_bytes = len(self._end)
        self.end_bytes = max(last for _, _, last in places) + end_bytes
        if places != sorted(places):
            return
        form, position, ends = "", 0, []
        beginnings = [start for start, _, _ in places[1:]]
        beginnings.append(self.end_bytes)
        for (start, first, last), following in zip(places, beginnings, strict=True):
            # The line end behind a number may be the one that the next key has.
            stop = min(last + end_bytes, following)
            ends.append(text[last:stop])
            form += f"{start - position}x{first - start}s{last - first}s{stop - last}s"
            position = stop
        self._ends = tuple(ends)
        self._layout = Struct(form)
