"""What memory processes take."""

from __future__ import annotations

from pathlib import Path


def private(pid: int) -> int:
    """Bytes of memory that this process alone has: not shared with others, not read from a file."""
    return sum(_rows(pid, "Private_Dirty:"))


def proportional(pid: int) -> int:
    """The proportional set size in bytes: shared memory counts by the share of each who has it."""
    return sum(_rows(pid, "Pss:"))


def _rows(pid: int, name: str) -> list[int]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return [int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(name)]
