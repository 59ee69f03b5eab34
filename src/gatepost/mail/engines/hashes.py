"""Known-bad content by SHA-256, from lists that anybody may keep.

What it does: reads lists of digests, one a line with an optional name, and looks up the raw mail and each content in it.
Not its job: fetching lists.
Raises: `EngineError` for a list that cannot be read, naming file and line.

Millions of lines are fine: digests lie sorted in one block of bytes, 32 a line, which workers forked after `preload` share.
A line is `HEX`, `HEX NAME` or ClamAV's `HEX:SIZE:NAME`; empty lines and those that begin with # are left out.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
from array import array
from binascii import unhexlify
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from gatepost.mail.engines.options import Options
from gatepost.mail.inspect.content import Piece, everything
from gatepost.mail.inspect.engine import EngineError, EngineInfo
from gatepost.mail.model import Envelope, Finding, Kind, Message

_SIZE = hashlib.sha256().digest_size
_HEX = 2 * _SIZE
_LINE = re.compile(rb"^(?:([0-9A-Fa-f]{64})(?![^ \t:\r\n,;])|(?!#)[^\S\n]*\S[^\n]*)", re.MULTILINE)
"""A line with a digest, or (without a group) a line that ought to have one: neither empty nor a comment."""


class Hashes:
    """The engine `hashes`. Options: `lists`, files of digests; with none of them nothing is known to be bad."""

    local = True

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        files = given.texts("lists")
        given.done()
        self._lists = [_current(file) for file in files]

    @staticmethod
    def preload(options: Mapping[str, object]) -> None:
        """Read the lists once for all workers that are forked afterwards."""
        Hashes("hashes", options)

    def info(self) -> EngineInfo:
        """Give the digest of all lists and the time of the oldest."""
        mark = hashlib.sha256(b"".join(one.mark for one in self._lists)).hexdigest()[:16]
        return EngineInfo("SHA-256", mark, min((one.changed for one in self._lists), default=0.0))

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Look the mail up."""
        del envelope
        return self.look(self.select(message), deadline)

    def select(self, message: Message) -> list[Piece]:
        """Choose the raw mail and each different content in it."""
        return everything(message)

    def look(self, pieces: Sequence[Piece], deadline: float) -> tuple[Finding, ...]:
        """Look each piece up."""
        del deadline
        findings = []
        for piece in pieces:
            digest = hashlib.sha256(piece.data).digest()
            if (name := self.known(digest)) is not None:
                findings.append(Finding(Kind.VIRUS, name, piece.path, self.name, f"SHA-256 {digest.hex()}"))
        return tuple(findings)

    def known(self, digest: bytes) -> str | None:
        """Give the name under which content with this SHA-256 is known to be bad, or None."""
        found = next((name for one in self._lists if (name := one.find(digest)) is not None), None)
        return found if found is None else found or "known-bad-content"


class _List:
    """One list: sorted digests, and where in the file each one's line lies."""

    def __init__(self, file: Path, changed: float) -> None:
        self.changed = changed
        with file.open("rb") as opened:
            self._text = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) if os.fstat(opened.fileno()).st_size else b""
        rows = sorted(_rows(self._text, file))
        self._digests = b"".join(digest for digest, _ in rows)
        self._lines = array("Q", (at for _, at in rows))
        self.mark = hashlib.sha256(self._digests).digest()

    def find(self, digest: bytes) -> str | None:
        """Give the name of a listed digest, "" when its line has none, or None."""
        at = bisect_left(range(len(self._lines)), digest, key=self._at)
        if at == len(self._lines) or self._at(at) != digest:
            return None
        end = self._text.find(b"\n", self._lines[at])
        return _name(self._text[self._lines[at] : end if end >= 0 else len(self._text)])

    def _at(self, index: int) -> bytes:
        return self._digests[index * _SIZE : index * _SIZE + _SIZE]


def _rows(text: mmap.mmap | bytes, file: Path) -> list[tuple[bytes, int]]:
    """Give digest and offset of every line that has one."""
    rows = []
    for line in _LINE.finditer(text):
        if line[1] is None:
            number = text[: line.start()].count(b"\n") + 1
            raise EngineError(
                f"{file}, line {number}: not a SHA-256 digest in 64 hexadecimal digits: {line[0][:80].strip()!r}; correct or remove the line"
            )
        rows.append((unhexlify(line[1]), line.start()))
    return rows


def _name(line: bytes) -> str:
    rest = line[_HEX:].decode("utf-8", "replace").strip()
    if rest.startswith(":"):
        return (rest.split(":") + [""] * 3)[2].strip()
    return rest.strip(" \t,;*")


def _current(file: str) -> _List:
    """Read a list unless it was read before and has not changed."""
    path = Path(file)
    try:
        found = path.stat()
        return _read(path, found.st_mtime_ns, found.st_size, found.st_ino)
    except OSError as error:
        raise EngineError(
            f"cannot read the list of digests {file}: {error.strerror}; correct the option 'lists', or the file's rights"
        ) from error


@lru_cache(maxsize=16)
def _read(path: Path, changed: int, size: int, inode: int) -> _List:
    del size, inode
    return _List(path, changed / 1e9)
