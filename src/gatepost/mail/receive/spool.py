"""The spool of one mail: its bytes in anonymous memory, handed to a worker by descriptor and never copied.

Until end of data is answered the sender still holds the mail, so nothing here needs to reach a disk.
Raises: `OSError` when the machine is out of descriptors or memory; the caller answers a temporary failure.
"""

from __future__ import annotations

import mmap
import os
from types import TracebackType
from typing import Self


class Spool:
    """Bytes of one mail as they arrive: written in pieces, then sealed and read as one map."""

    __slots__ = ("_map", "fd", "size")

    def __init__(self) -> None:
        self.fd = os.memfd_create("gatepost-spool", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.size = 0
        self._map: mmap.mmap | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`."""
        view = memoryview(data)
        while view:
            written = os.write(self.fd, view)
            self.size += written
            view = view[written:]

    def view(self) -> memoryview:
        """All bytes so far, read-only, without a copy. Write nothing afterwards."""
        if not self.size:
            return memoryview(b"")
        if self._map is None:
            self._map = mmap.mmap(self.fd, self.size, prot=mmap.PROT_READ)
        return memoryview(self._map)

    def close(self) -> None:
        """Give the memory back; views must be gone by then, or they keep the map alive."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self._map = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
