"""Logs that were rotated: a growing file that got smaller or became another one is fine when its former content stands beside it.

`logrotate` renames `name` to `name.1` or `name-20260101` and may compress it; the former beginning, whose digest the baseline has, must
be found again at the beginning of one of these. So cutting lines out of a log is still found.
Not its job: logs that shrink with no former content left (`compare` reports them).
Raises: nothing.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from gatepost.integrity import attributes as at
from gatepost.integrity.compare import Change, ChangeKind
from gatepost.integrity.entry import Entry, path_of
from gatepost.integrity.examine import ALGORITHMS
from gatepost.integrity.expected import Explanation

_CHUNK: Final = 1 << 20


class Rotation:
    """Explains rotated logs below `root`."""

    def __init__(self, root: Path, algorithm: str) -> None:
        self._root = root
        self._new = ALGORITHMS[algorithm]

    def explain(self, change: Change) -> Explanation | None:
        """See Explainer."""
        if change.kind not in (ChangeKind.CHANGED, ChangeKind.REMOVED) or change.old is None:
            return None
        if change.kind is ChangeKind.CHANGED and change.attributes != at.GROWING:
            return None
        path = Path(os.fsdecode(os.fsencode(self._root) + path_of(change.key)))
        if not change.old.is_file or change.old.digest == b"":
            return None
        if any(self._begins_like(candidate, change.old) for candidate in _rotated(path)):
            return Explanation("log rotation", "the former content stands complete in the rotated file")
        return None

    def _begins_like(self, path: Path, old: Entry) -> bool:
        try:
            with _opened(path) as file:
                return self._digest(file, old.stat.size) == old.digest
        except (OSError, EOFError, lzma.LZMAError, zlib.error):
            return False

    def _digest(self, file: BinaryIO, size: int) -> bytes:
        digest, left = self._new(), size
        while left and (data := file.read(min(left, _CHUNK))):
            digest.update(memoryview(data))
            left -= len(data)
        return b"" if left else digest.digest()


def _rotated(path: Path) -> Iterator[Path]:
    """Files that logrotate may have made of `path`, plain files only."""
    for found in sorted(path.parent.glob(f"{_literal(path.name)}[.-]*")):
        if found.is_file() and not found.is_symlink():
            yield found


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _opened(path: Path) -> BinaryIO:
    plain = path.open("rb")
    match path.suffix:
        case ".gz":
            return cast("BinaryIO", gzip.GzipFile(fileobj=plain))
        case ".xz":
            return cast("BinaryIO", lzma.LZMAFile(plain))
        case ".bz2":
            return cast("BinaryIO", bz2.BZ2File(plain))
        case _:
            return plain
