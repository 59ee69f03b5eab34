"""The bytes of kept mail: one file for each content, named by its SHA-256, written once.

What it does: stores encrypted (ChaCha20-Poly1305, RFC 8439) or, without a key, neutralised, so that nothing on the machine can run
or open it by accident; gives back exactly the bytes that came in, or an error.
Not its job: whose mail it is and how long it stays (`quarantine`).
Raises: `ContentError` for content that is not there or not whole, `OSError` when the disk fails.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gatepost.mail.model import Buffer
from gatepost.system.files import PRIVATE_DIRECTORY, make_directory, read, remove, sync_directory, write_atomic

ENCRYPTED = b"GPQ1E"
NEUTRALISED = b"GPQ1N"
NONCE = 12
KEY_MARK = 8

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FLIP = bytes(number ^ 0xA5 for number in range(256))


class ContentError(Exception):
    """The content cannot be given back as it was."""


class Contents:
    """A folder of contents. `key` is 32 bytes, or None to keep neutralised instead of encrypted."""

    def __init__(self, root: Path, key: bytes | None) -> None:
        self._root = root
        self._cipher = ChaCha20Poly1305(key) if key else None
        self._mark = hashlib.sha256(b"gatepost quarantine key" + (key or b"")).digest()[:KEY_MARK]
        make_directory(root)
        for number in range(256):
            (root / f"{number:02x}").mkdir(PRIVATE_DIRECTORY, exist_ok=True)
        # One sync for all of them, also when they are there already: who made them may not have come so far.
        sync_directory(root)

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ContentError(f"{digest!r} is not a SHA-256 in lower-case hex")
        return self._root / digest[:2] / digest

    def put(self, data: Buffer) -> str:
        """Store `data`; when this returns its digest, file and name are on the disk."""
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        if path.exists():
            # It was whole before it got this name, but a crash may have come before the name was synced.
            sync_directory(path.parent)
        else:
            write_atomic(path, self._seal(digest, data))
        return digest

    def _seal(self, digest: str, data: Buffer) -> bytes:
        if self._cipher is None:
            return NEUTRALISED + bytes(data).translate(_FLIP)
        nonce = secrets.token_bytes(NONCE)
        return ENCRYPTED + self._mark + nonce + self._cipher.encrypt(nonce, data, digest.encode())

    def get(self, digest: str) -> bytes:
        """The bytes whose SHA-256 is `digest`."""
        try:
            sealed = read(self._path(digest))
        except FileNotFoundError:
            raise ContentError(f"content {digest} is not here; it may have expired") from None
        data = self._open(digest, sealed)
        if hashlib.sha256(data).hexdigest() != digest:
            raise ContentError(f"content {digest} is damaged; restore it from a backup")
        return data

    def _open(self, digest: str, sealed: bytes) -> bytes:
        if sealed.startswith(NEUTRALISED):
            return sealed[len(NEUTRALISED) :].translate(_FLIP)
        start = len(ENCRYPTED) + KEY_MARK
        if not sealed.startswith(ENCRYPTED) or len(sealed) < start + NONCE:
            raise ContentError(f"content {digest} is damaged; restore it from a backup")
        if self._cipher is None or sealed[len(ENCRYPTED) : start] != self._mark:
            raise ContentError(f"content {digest} was encrypted with another key; restore that key file")
        try:
            return self._cipher.decrypt(sealed[start : start + NONCE], sealed[start + NONCE :], digest.encode())
        except InvalidTag:
            raise ContentError(f"content {digest} is damaged; restore it from a backup") from None

    def remove(self, digest: str) -> None:
        """Remove a content for good; nothing happens when it is not there."""
        remove(self._path(digest))

    def entries(self) -> Iterator[tuple[str, int, float]]:
        """Digest, size on the disk in bytes and time of writing of each content; what a crash left half-written is not one."""
        for path in sorted(self._root.glob("*/*")):
            if _DIGEST.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                found = path.stat()
                yield path.name, found.st_size, found.st_mtime
