"""The budget of one mail: how deep, how many, how much and how long anybody may look.

What it does: counts what parsing and unpacking spend and refuses when a limit is passed.
Not its job: deciding what happens then; the stage that hits a limit leaves an UNCHECKED finding with what it did not look at.
Raises: `BudgetError`, with the name of the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


class BudgetError(Exception):
    """A limit is passed. `limit` is the field of `Limits`, `where` the path of the part that asked for more."""

    def __init__(self, limit: str, where: str = "") -> None:
        super().__init__(f"over the limit of {limit}" + (f" at {where}" if where else ""))
        self.limit = limit
        self.where = where


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for one mail: counts, bytes of unpacked content, seconds of processor and of wall time.

    `ratio` bounds unpacked bytes over packed bytes of one container, but only above `ratio_floor` bytes, since a blank
    bitmap honestly shrinks a thousandfold.
    """

    depth: int = 32
    parts: int = 10_000
    bytes: int = 100 * MIB
    ratio: int = 100
    ratio_floor: int = 32 * MIB
    cpu: float = 4.0
    wall: float = 60.0


class Budget:
    """What is left of the `Limits` for one mail. `cpu` and `wall` are clocks in seconds, handed in so that this file reads none."""

    __slots__ = ("_cpu", "_cpu_start", "_wall", "_wall_start", "bytes", "limits", "parts")

    def __init__(self, limits: Limits, cpu: Callable[[], float], wall: Callable[[], float]) -> None:
        self.limits = limits
        self.parts = 0
        self.bytes = 0
        self._cpu = cpu
        self._wall = wall
        self._cpu_start = cpu()
        self._wall_start = wall()

    def part(self, depth: int, where: str = "") -> None:
        """Spend one part at `depth`."""
        self.parts += 1
        if self.parts > self.limits.parts:
            raise BudgetError("parts", where)
        if depth > self.limits.depth:
            raise BudgetError("depth", where)
        if not self.parts & 63:
            self.time(where)

    def content(self, size: int, where: str = "") -> None:
        """Spend `size` bytes of unpacked content."""
        self.bytes += size
        if self.bytes > self.limits.bytes:
            raise BudgetError("bytes", where)

    def expansion(self, packed: int, unpacked: int, where: str = "") -> None:
        """Check what one container has grown to so far."""
        if unpacked > self.limits.ratio_floor and unpacked > self.limits.ratio * max(packed, 1):
            raise BudgetError("ratio", where)

    def time(self, where: str = "") -> None:
        """Check both clocks; call it inside every loop whose length a sender chooses."""
        if self._cpu() - self._cpu_start > self.limits.cpu:
            raise BudgetError("cpu", where)
        if self._wall() - self._wall_start > self.limits.wall:
            raise BudgetError("wall", where)

    def left(self) -> float:
        """Seconds of wall time left, for a child or an engine; never negative."""
        return max(0.0, self.limits.wall - (self._wall() - self._wall_start))
