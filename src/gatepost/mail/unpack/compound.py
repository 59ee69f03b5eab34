"""Compound files (MS-CFB): the little file system inside .doc, .xls, .ppt, .msg and .msi.

What it does: yields every stream with its path, also streams that the directory no longer links.
Not its job: what the streams mean (`office`).
Raises: `UnpackError` when there is no usable header; a broken chain ends a stream early.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gatepost.mail.unpack.opened import UnpackError

_HEADER = 512
_ENTRY = 128
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_LAST = 0xFFFFFFFA
_NONE = 0xFFFFFFFF
_FROM_HEADER = 109
_ENTRIES_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: names of its storages and itself joined by "/", its bytes, whether they are all there."""

    path: str
    data: bytes
    whole: bool


@dataclass(slots=True)
class _Entry:
    name: str
    kind: int
    left: int
    right: int
    child: int
    start: int
    size: int


class Compound:
    """A compound file; `tick` is called in loops whose length the sender chooses, `spend` before bytes are copied."""

    def __init__(self, data: memoryview, tick: Callable[[], None], spend: Callable[[int], None]) -> None:
        if len(data) < _HEADER:
            raise UnpackError("the compound file has no header")
        self._data = data
        self._tick = tick
        self._spend = spend
        shift, mini_shift = struct.unpack_from("<HH", data, 30)
        if shift not in {9, 12} or not 4 <= mini_shift < shift:  # noqa: PLR2004 - MS-CFB 2.2
            raise UnpackError("the compound file has impossible sector sizes")
        self._sector, self._mini = 1 << shift, 1 << mini_shift
        directory, self._cutoff, mini_fat = struct.unpack_from("<I4xII", data, 48)
        self._fat = self._read_fat()
        self._mini_fat = self._numbers(self._chain(mini_fat, len(data)))
        self._entries = list(self._directory(self._chain(directory, len(data))))
        root = next((entry for entry in self._entries if entry.kind == _ROOT), None)
        self._ministream = self._chain(root.start, len(data))[: root.size] if root else b""

    def streams(self) -> Iterator[Stream]:
        """Every stream, in the order of the directory."""
        paths = self._paths()
        for index, entry in enumerate(self._entries):
            if entry.kind != _STREAM:
                continue
            self._tick()
            data = self._content(entry)
            self._spend(len(data))
            yield Stream(paths.get(index, f"unlinked/{entry.name}"), data, len(data) == entry.size)

    def _at(self, sector: int) -> int:
        place: int = (sector + 1) * self._sector
        return place

    def _read_fat(self) -> list[int]:
        """The sector table, by the list in the header and the further lists it chains to (MS-CFB 2.3, 2.5)."""
        data = self._data
        listed = list(struct.unpack_from(f"<{_FROM_HEADER}I", data, 76))
        following = struct.unpack_from("<I", data, 68)[0]
        seen: set[int] = set()
        while following < _LAST and following not in seen and self._at(following) + self._sector <= len(data):
            self._tick()
            seen.add(following)
            *more, following = self._numbers(data[self._at(following) : self._at(following) + self._sector])
            listed += more
        fat: list[int] = []
        for sector in dict.fromkeys(n for n in listed if n < _LAST):
            self._tick()
            fat += self._numbers(data[self._at(sector) : self._at(sector) + self._sector])
            if len(fat) * self._sector > 2 * len(data) + (1 << 20):
                break
        return fat

    @staticmethod
    def _numbers(block: bytes | memoryview) -> list[int]:
        return list(struct.unpack_from(f"<{len(block) // 4}I", block))

    def _chain(self, start: int, most: int) -> bytes:
        """The bytes of a chain of sectors, no longer than `most`."""
        pieces, seen, size = [], set(), 0
        while start < _LAST and start not in seen and size < most:
            seen.add(start)
            piece = self._data[self._at(start) : self._at(start) + self._sector]
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            start = self._fat[start] if start < len(self._fat) else _NONE
        return b"".join(pieces)

    def _mini_chain(self, start: int, most: int) -> bytes:
        pieces, seen, size = [], set(), 0
        while start < _LAST and start not in seen and size < most:
            seen.add(start)
            piece = self._ministream[start * self._mini : (start + 1) * self._mini]
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            start = self._mini_fat[start] if start < len(self._mini_fat) else _NONE
        return b"".join(pieces)

    def _content(self, entry: _Entry) -> bytes:
        most = min(entry.size, len(self._data))
        read = self._mini_chain if entry.size < self._cutoff else self._chain
        return read(entry.start, most)[:most]

    def _directory(self, table: bytes) -> Iterator[_Entry]:
        for at in range(0, min(len(table), _ENTRIES_MOST * _ENTRY) - _ENTRY + 1, _ENTRY):
            length, kind = struct.unpack_from("<HB", table, at + 64)
            left, right, child = struct.unpack_from("<III", table, at + 68)
            start, size = struct.unpack_from("<IQ", table, at + 116)
            name = table[at : at + min(max(length - 2, 0), 64)].decode("utf-16-le", "replace")
            yield _Entry(name, kind, left, right, child, start, size & 0xFFFFFFFF if self._sector == _HEADER else size)

    def _paths(self) -> dict[int, str]:
        """The path of each linked entry, by its number."""
        paths: dict[int, str] = {}
        waiting = [(self._entries[0].child, "")] if self._entries else []
        while waiting:
            index, above = waiting.pop()
            if index >= len(self._entries) or index in paths:
                continue
            entry = self._entries[index]
            paths[index] = f"{above}{entry.name}"
            waiting += [(entry.left, above), (entry.right, above)]
            if entry.kind == _STORAGE:
                waiting.append((entry.child, f"{above}{entry.name}/"))
        return paths
