"""Rights and link targets of a package's files as its archive has them: the .deb that apt keeps, if it is one that the signed lists of apt name.

Not its job: contents (dpkg's sums have those).
Raises: nothing; an archive that is not there, not listed or not readable says None.
"""

from __future__ import annotations

import functools
import hashlib
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import zstandard

from gatepost.integrity.lists import named

ARCHIVES: Final = "var/cache/apt/archives"


class Archived(NamedTuple):
    """What an archive says of a path; `link` is the target of a symbolic link."""

    mode: int
    uid: int
    gid: int
    link: str


def archived(root: Path, package: str, version: str, path: str) -> Archived | None:
    """What the archive of a package says of `path`, None when no trusted archive is there."""
    name, _, architecture = package.partition(":")
    found = sorted((root / ARCHIVES).glob(f"{name}_{version.replace(':', '%3a')}_{architecture or '*'}.deb"))
    return _members_of(found[0], root).get(path) if found else None


@functools.lru_cache(maxsize=64)
def _members_of(archive: Path, root: Path) -> dict[str, Archived]:
    try:
        data = archive.read_bytes()
        if not named(root, hashlib.sha256(data).hexdigest()):
            return {}
        member = next(m for m in _members(data) if m[0].startswith("data.tar"))
        with tarfile.open(fileobj=io.BytesIO(_expanded(*member))) as tar:
            return {_absolute(m.name): Archived(m.mode, m.uid, m.gid, m.linkname if m.issym() else "") for m in tar}
    except (OSError, StopIteration, tarfile.TarError, lzma.LZMAError, zlib.error, zstandard.ZstdError, ValueError):
        return {}


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The members of an ar archive (deb(5))."""
    place = 8
    while place + 60 <= len(data):
        name, size = data[place : place + 16].decode("ascii").strip().rstrip("/"), int(data[place + 48 : place + 58])
        yield name, data[place + 60 : place + 60 + size]
        place += 60 + size + (size & 1)


def _expanded(name: str, data: bytes) -> bytes:
    if name.endswith(".xz"):
        return lzma.decompress(data)
    if name.endswith(".zst"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return zlib.decompress(data, wbits=47) if name.endswith(".gz") else data


def _absolute(name: str) -> str:
    return "/" + name.removeprefix("./").strip("/")
