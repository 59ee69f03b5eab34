"""The sign of life of the live watch: who looks after the watchman.

The watch writes it after it has seen its own canary, so a process that is alive but deaf counts as dead.
Raises: nothing; a heartbeat that cannot be read is a problem in words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

SILENCE: Final = 180.0
"""Seconds without a heartbeat after which the watch counts as dead."""


class Heartbeat(msgspec.Struct, frozen=True):
    """When the watch last saw its own canary (seconds since the epoch), its process, and events lost since its start."""

    at: float
    pid: int
    lost: int = 0


def watch_problem(path: Path, now: float) -> str:
    """What is wrong with the live watch, "" when nothing is."""
    try:
        beat = msgspec.json.decode(path.read_bytes(), type=Heartbeat)
    except FileNotFoundError:
        return "the live watch is not running, though the site asks for it; start it with `gatepost integrity watch`"
    except (OSError, msgspec.DecodeError) as error:
        return f"the heartbeat of the live watch cannot be read: {error}"
    if now - beat.at > SILENCE:
        return f"the live watch is dead: no sign of life for {now - beat.at:,.0f} s (process {beat.pid})"
    if beat.lost:
        return f"the live watch lost events {beat.lost} times; this check looks at everything instead"
    return ""
