"""How long a scan worker is at its mail, in memory that it shares with its parent.

What it does: the worker starts and stops it, the parent looks; so a worker that is stopped or stuck is found by somebody who may kill it,
also when the front may not because it is another user.
Not its job: killing (`gatepost.system.supervise`).
Raises: nothing.
"""

from __future__ import annotations

import mmap
import struct
import time

_SECONDS = struct.Struct("d")


class Stopwatch:
    """Made before the fork. `limit` is in seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._shared = mmap.mmap(-1, _SECONDS.size)

    def start(self) -> None:
        """A mail begins."""
        _SECONDS.pack_into(self._shared, 0, time.monotonic())

    def stop(self) -> None:
        """It is done, or its worker is."""
        _SECONDS.pack_into(self._shared, 0, 0.0)

    def over(self) -> bool:
        """Whether the mail under way takes longer than the limit."""
        (begun,) = _SECONDS.unpack_from(self._shared)
        return bool(begun) and time.monotonic() - begun > self._limit
