"""apt's lists of packages, as apt keeps them: plain, or compressed (`Acquire::GzipIndexes`, usual in container images).

Not its job: fetching them, or verifying their signatures; apt has done both.
Raises: nothing; a list that cannot be read is empty.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import libarchive

LISTS: Final = "var/lib/apt/lists"
_FILTERS: Final = {"": "none", "lz4": "lz4", "gz": "gzip", "xz": "xz", "zst": "zstd", "bz2": "bzip2", "lzma": "lzma"}
"""Ends of names, and what undoes that compression; only these, as some filters of libarchive would start a program."""

_DIGEST: Final = re.compile(rb"^SHA256: ([0-9a-f]{64})$", re.MULTILINE)


def package_lists(folder: Path) -> list[Path]:
    """The lists in apt's folder."""
    return sorted(path for path in folder.glob("*_Packages*") if _compression(path) in _FILTERS)


def content(path: Path) -> bytes:
    """The text of a list."""
    try:
        if not _compression(path):
            return path.read_bytes()
        with libarchive.file_reader(str(path), "raw", _FILTERS[_compression(path)]) as archive:
            return b"".join(block for entry in archive for block in entry.get_blocks())
    except (OSError, libarchive.ArchiveError):
        return b""


def _compression(path: Path) -> str:
    return path.name.rpartition("_Packages")[2].removeprefix(".")


def named(root: Path, digest: str) -> bool:
    """Whether a list below `root` names an archive with this SHA-256 (hex)."""
    return any(bytes.fromhex(digest) in found for found in _digests_below(root / LISTS))


def _digests_below(folder: Path) -> Iterator[frozenset[bytes]]:
    for path in package_lists(folder):
        status = path.stat()
        yield _digests(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=32)
def _digests(path: Path, _time: int, _size: int) -> frozenset[bytes]:
    """All digests in a list; time and size stand for its present content."""
    return frozenset(bytes.fromhex(found.decode("ascii")) for found in _DIGEST.findall(content(path)))
