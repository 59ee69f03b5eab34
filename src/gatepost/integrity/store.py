"""The baseline file: entries in key order in compressed blocks, an index of the blocks, a signed manifest.

Layout: magic, blocks (zstd over a msgpack array of entries), index, manifest, signature, trailer with the lengths. The signature covers the
manifest, the manifest has the digest of the index, the index the digest of each block; a block is verified when it is read, so
nobody can slip another one in between checking and using.
Not its job: what the entries mean, and when a baseline is in force (`ledger`).
Raises: `BaselineError`, which always says what is wrong; an empty or missing file is an error, never an empty baseline.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import blake3
import msgspec
import zstandard

from gatepost.integrity.entry import Entry
from gatepost.integrity.policy import Policy
from gatepost.integrity.sign import PublicKey, Signer

BLOCK: Final = 512
"""Entries in a block."""

_MAGIC: Final = b"GPBASE1\n"
_TRAILER: Final = struct.Struct("<QQQ8s")
_SIGNATURE: Final = 64


class BaselineError(Exception):
    """The baseline cannot be used; the message says why and what to do."""


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Where a block lies, what it begins with, how many entries it has, and its BLAKE3 digest."""

    first: bytes
    offset: int
    length: int
    count: int
    digest: bytes


class Manifest(msgspec.Struct, frozen=True):
    """What a baseline says of itself.

    `declared` is the digest of the site's integrity section, `packages` the versions of installed packages, and `owned` the marks of
    their paths (`Dpkg.marks`).
    """

    host: str
    made: float
    policy: Policy
    declared: str
    entries: int
    content_bytes: int
    index: bytes
    packages: dict[str, str] = {}
    owned: dict[str, bytes] = {}
    missing: tuple[bytes, ...] = ()
    former: str = ""


class Segment:
    """Blocks of one stretch of the tree, written by one worker."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._pack = msgspec.msgpack.Encoder().encode
        self._squeeze = zstandard.ZstdCompressor(level=3).compress
        self._waiting: list[Entry] = []
        self.blocks: list[Block] = []
        self._offset = 0

    def add(self, entry: Entry) -> None:
        """Take the next entry in key order."""
        self._waiting.append(entry)
        if len(self._waiting) == BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        data = self._squeeze(self._pack(self._waiting))
        self._out.write(data)
        self.blocks.append(Block(self._waiting[0].key, self._offset, len(data), len(self._waiting), blake3.blake3(data).digest()))
        self._offset += len(data)
        self._waiting = []


def assemble(out: BinaryIO, segments: Iterable[tuple[Path, list[Block]]]) -> list[Block]:
    """Copy segments in key order behind each other and give the whole index."""
    out.write(_MAGIC)
    base, index = len(_MAGIC), []
    for path, blocks in segments:
        with path.open("rb") as part:
            data = part.read()
        out.write(data)
        index += [msgspec.structs.replace(b, offset=b.offset + base) for b in blocks]
        base += len(data)
    return index


def pack_index(index: list[Block]) -> bytes:
    """The index as bytes; its BLAKE3 digest goes into the manifest."""
    return zstandard.ZstdCompressor(level=3).compress(msgspec.msgpack.encode(index))


def index_digest(data: bytes) -> bytes:
    """The digest that the manifest has of the packed index."""
    return blake3.blake3(data).digest()


def finish(out: BinaryIO, index: bytes, manifest: Manifest, signer: Signer | None) -> str:
    """Write index, manifest and signature (zeros without a signer: such a baseline waits for `sealed`); the digest of the baseline."""
    body = msgspec.msgpack.encode(manifest)
    signature = signer.sign(body) if signer else bytes(_SIGNATURE)
    out.write(index)
    out.write(body)
    out.write(signature)
    out.write(_TRAILER.pack(len(index), len(body), len(signature), _MAGIC))
    return hashlib.sha256(body).hexdigest()


class Baseline:
    """A baseline opened for reading: verified down to the index at once, block by block later."""

    def __init__(self, path: Path, trusted: Iterable[PublicKey]) -> None:
        self.path = path
        self._file = _open(path)
        index, body, signature = _sections(path, self._file)
        self.signer = _who(path, body, signature, tuple(trusted))
        self.manifest = _manifest(path, body)
        if index_digest(index) != self.manifest.index:
            raise BaselineError(f"the index of the baseline {path} is not the one that was signed: it was tampered with or damaged")
        self.digest = hashlib.sha256(body).hexdigest()
        self.blocks = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(index), type=list[Block])
        self._firsts = [block.first for block in self.blocks]
        self._unpack = msgspec.msgpack.Decoder(list[Entry]).decode
        self._expand = zstandard.ZstdDecompressor().decompress
        if not self.manifest.entries or sum(b.count for b in self.blocks) != self.manifest.entries:
            raise BaselineError(f"the baseline {path} is empty or incomplete; make a new one with `gatepost integrity init`")

    def entries(self, start: bytes = b"", stop: bytes | None = None) -> Iterator[Entry]:
        """Entries from `start` up to, not including, `stop`. Raises BaselineError for a damaged block."""
        for number in range(max(0, bisect.bisect_right(self._firsts, start) - 1), len(self.blocks)):
            if stop is not None and self._firsts[number] >= stop:
                return
            for entry in self._block(number):
                if entry.key >= start and (stop is None or entry.key < stop):
                    yield entry

    def find(self, key: bytes) -> Entry | None:
        """One entry."""
        return next(self.entries(key, key + b"\0"), None)

    def bounds(self, parts: int) -> list[bytes]:
        """Keys that cut the baseline into about `parts` stretches of equal length."""
        step = max(1, len(self.blocks) // parts)
        return [first for first in self._firsts[::step] if first]

    def reopened(self) -> Baseline:
        """The same baseline with a file position of its own, for a worker."""
        other = object.__new__(Baseline)
        other.__dict__.update(self.__dict__)
        other._file = _open(self.path)
        return other

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _block(self, number: int) -> list[Entry]:
        block = self.blocks[number]
        data = os.pread(self._file.fileno(), block.length, block.offset)
        if blake3.blake3(data).digest() != block.digest:
            raise BaselineError(
                f"block {number} of the baseline {self.path} is not the one that was signed: it was tampered with or damaged"
            )
        return self._unpack(self._expand(data))


def request(path: Path) -> bytes:
    """The bytes of an unsigned baseline that the holder of the key signs, wherever the key is. Raises BaselineError."""
    with _open(path) as file:
        return _sections(path, file)[1]


def seal(path: Path, signature: bytes) -> None:
    """Put the signature of `request` into the file, in place. Raises BaselineError."""
    if len(signature) != _SIGNATURE:
        raise BaselineError("an Ed25519 signature has 64 bytes; this one has not")
    _sections(path, _open(path))
    with path.open("r+b") as file:
        file.seek(-_TRAILER.size - _SIGNATURE, os.SEEK_END)
        file.write(signature)
        file.flush()
        os.fsync(file.fileno())


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise BaselineError(
            f"there is no baseline {path}; if there was one, it was removed. Make one with `gatepost integrity init`"
        ) from error
    except OSError as error:
        raise BaselineError(f"the baseline {path} cannot be read: {error.strerror}") from error


def _sections(path: Path, file: BinaryIO) -> tuple[bytes, bytes, bytes]:
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise BaselineError(f"the baseline {path} is empty: it was tampered with, or the disk was full. Nothing was compared")
    handle = file.fileno()
    trailer = os.pread(handle, _TRAILER.size, max(0, size - _TRAILER.size))
    if len(trailer) < _TRAILER.size or os.pread(handle, len(_MAGIC), 0) != _MAGIC or not trailer.endswith(_MAGIC):
        raise BaselineError(f"the baseline {path} is cut short or is no baseline of Gatepost")
    index, body, signature, _ = _TRAILER.unpack(trailer)
    begin = size - _TRAILER.size - index - body - signature
    if begin < len(_MAGIC) or signature != _SIGNATURE:
        raise BaselineError(f"the baseline {path} is cut short or is no baseline of Gatepost")
    data = os.pread(handle, index + body + signature, begin)
    return data[:index], data[index : index + body], data[index + body :]


def _who(path: Path, body: bytes, signature: bytes, trusted: tuple[PublicKey, ...]) -> PublicKey:
    if signature == bytes(_SIGNATURE):
        raise BaselineError(f"the baseline {path} is not signed yet; sign it with `gatepost integrity seal`")
    for key in trusted:
        if key.verifies(signature, body):
            return key
    raise BaselineError(f"the baseline {path} is not signed by a trusted key: it was swapped, edited, or the trusted key was changed")


def _manifest(path: Path, body: bytes) -> Manifest:
    try:
        return msgspec.msgpack.decode(body, type=Manifest)
    except msgspec.DecodeError as error:
        raise BaselineError(f"the manifest of the baseline {path} cannot be read: {error}") from error
