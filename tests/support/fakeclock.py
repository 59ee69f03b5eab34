"""A library that lies to daemons about the time of day, and about nothing else: libfaketime, steered by a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


@dataclass(frozen=True)
class FakeClock:
    """Daemons that are started with `environment` believe in the time that `set` says."""

    file: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, offset: str) -> None:
        """So far from now, like "+24h"; in one step, so that nobody reads half of it."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(offset)
        fresh.rename(self.file)


@contextmanager
def fake_clock() -> Iterator[FakeClock]:
    """A clock that is right at first."""
    if not LIBRARY.exists():
        pytest.skip("needs Debian's package faketime")
    clock = FakeClock(Path(f"/dev/shm/gatepost-clock-{os.getpid()}"))
    clock.set("+0")
    try:
        yield clock
    finally:
        clock.file.unlink()
