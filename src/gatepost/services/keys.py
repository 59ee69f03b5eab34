"""The secrets of a site: made once, kept in files that only the keeper can read.

What it does: gives the signing key of receipts and release tokens, and the key that encrypts kept mail.
Raises: `KeyFileError` for a file that is not what it should be; `OSError` when the disk fails.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gatepost.mail.act.receipt import signing_key
from gatepost.system.files import make_directory, read, write_atomic

SIZE = 32


class KeyFileError(Exception):
    """A key file is damaged; without it kept mail cannot be read, so it is never replaced in silence."""


def secret(folder: Path, name: str) -> bytes:
    """The 32 secret bytes called `name`, made when they are not there yet."""
    path = folder / f"{name}.key"
    if not path.exists():
        make_directory(folder)
        write_atomic(path, secrets.token_bytes(SIZE))
    found = read(path)
    if len(found) != SIZE:
        raise KeyFileError(f"{path} is damaged: it must hold {SIZE} bytes, not {len(found)}; restore it from a backup")
    return found


def receipts(folder: Path) -> Ed25519PrivateKey:
    """The key that signs receipts and release tokens."""
    return signing_key(secret(folder, "receipts"))


def public_receipts(folder: Path) -> Ed25519PublicKey:
    """Its public half, for those who verify."""
    return receipts(folder).public_key()
