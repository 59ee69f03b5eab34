"""Whether the kernel's clock follows a time server, as adjtimex(2) knows.

Raises: nothing.
"""

from __future__ import annotations

import ctypes

TIME_ERROR = 5
"""What the kernel answers while its clock is not synchronised."""

_ROOM = 512
"""Bytes, more than a struct timex has on any machine; all of them 0 means: only ask."""


def synchronised() -> bool | None:
    """Whether the clock is kept right; None where the kernel does not say."""
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.create_string_buffer(_ROOM))
    return None if state < 0 else state != TIME_ERROR
