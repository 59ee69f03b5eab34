"""The secrets of a site: made once, kept in files that only the keeper can read.

What it does: gives the signing key of receipts and release tokens, and the key that encrypts kept mail.
Raises: `KeyFileError` for a file that is not what it should be; `OSError` when the disk fails.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gatepost.mail.act.receipt import signing_key
from gatepost.system.files import make_directory, read, write_atomic

SIZE = 32


class KeyFileError(Exception):
    """A key file is damaged or missing; without it kept mail cannot be read, so it is never replaced in silence."""


def secret(folder: Path, name: str) -> bytes:
    """The 32 secret bytes called `name`, made when they are not there yet."""
    path = folder / f"{name}.key"
    if not path.exists():
        make_directory(folder)
        write_atomic(path, secrets.token_bytes(SIZE))
    return existing(folder, name)


def existing(folder: Path, name: str) -> bytes:
    """The same for those who only look: a key is never made, since a new one opens nothing."""
    path = folder / f"{name}.key"
    try:
        found = read(path)
    except FileNotFoundError:
        raise KeyFileError(f"{path} is missing, and without it kept mail cannot be read; restore it from a backup") from None
    if len(found) != SIZE:
        raise KeyFileError(f"{path} is damaged: it must hold {SIZE} bytes, not {len(found)}; restore it from a backup")
    return found


def receipts(folder: Path) -> Ed25519PrivateKey:
    """The key that signs receipts and release tokens."""
    return signing_key(secret(folder, "receipts"))


def canaries(folder: Path) -> bytes:
    """The secret by which canaries are known; the same after each start, so that those who ask for it at different times agree."""
    return hmac.digest(secret(folder, "receipts"), b"gatepost canaries", "sha256")


def public_receipts(folder: Path) -> Ed25519PublicKey:
    """Its public half, for those who verify."""
    return receipts(folder).public_key()
