"""A descriptor that the host may close behind our back, and reuse its number.

Daemonizing programs close everything above 2. Whoever keeps a descriptor for long
asks here before each use, so that no byte of ours ever lands in a file of the host's.
"""

import os
from dataclasses import dataclass

# The system's own, for pipes. eventlet puts others into ``os`` that first let whoever
# else is ready run, who may close the pipe: nobody would come back from there.
try:
    from posix import read as read_now
    from posix import write as write_now
except ImportError:  # Windows
    from os import read as read_now
    from os import write as write_now

__all__ = ["Held", "read_now", "write_now"]


@dataclass(frozen=True, slots=True)
class Held:
    """An open descriptor and the file it was opened on.

    Attributes:
        number: The descriptor.
        device: Device of the file.
        inode: Inode of the file.
    """

    number: int
    device: int
    inode: int

    @classmethod
    def of(cls, number: int) -> "Held":
        """Remember what *number* is open on.

        Raises:
            OSError: It is not open.

        """
        found = os.fstat(number)
        return cls(number, found.st_dev, found.st_ino)

    def is_ours(self) -> bool:
        """Whether the number is still open on the same file; a microsecond."""
        try:
            found = os.fstat(self.number)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (self.device, self.inode)

    def close(self) -> None:
        """Close it, if it is still ours."""
        if self.is_ours():
            os.close(self.number)
