"""Signatures with Ed25519 (RFC 8032): make a key, sign, verify, name a key.

A private key is a PKCS #8 PEM file, with a passphrase where it travels; a public key is one line of text, `ed25519 BASE64`, that fits into
a site file or onto a card. Its id is the first 16 hex digits of SHA-256 over the raw key.
Not its job: deciding which key to trust (`baseline`, `chain`).
Raises: `KeyFileError` for a key that cannot be read or made; verification never raises.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


class KeyFileError(Exception):
    """A key cannot be read or used; the message says which file and what to do."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies. `text` is its one-line form."""

    raw: bytes

    @property
    def id(self) -> str:
        """The short name of the key."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def text(self) -> str:
        """The form for people and files."""
        return "ed25519 " + base64.b64encode(self.raw).decode("ascii")

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` over `data` is of this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """A key that signs."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, 64 bytes."""
        return self._key.sign(data)


def public_key(text: str) -> PublicKey:
    """Read the one-line form. Raises KeyFileError."""
    kind, _, rest = text.strip().partition(" ")
    try:
        raw = base64.b64decode(rest.split(" ")[0], validate=True)
    except binascii.Error as error:
        raise KeyFileError(f'"{text.strip()[:40]}" is no public key; it has the form "ed25519 BASE64"') from error
    if kind != "ed25519" or len(raw) != 32:  # noqa: PLR2004 - RFC 8032 5.1.5: 32 octets
        raise KeyFileError(f'"{text.strip()[:40]}" is no public key; it has the form "ed25519 BASE64"')
    return PublicKey(raw)


def make_key(path: Path, passphrase: bytes = b"") -> Signer:
    """Make a private key, readable by its owner only, never over an old one; the public half stands beside it as `.pub`. Raises KeyFileError."""
    key = Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    signer = Signer(key)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock), 0o600)
        _write_new(path.with_name(path.name + ".pub"), (signer.public.text + "\n").encode(), 0o644)
    except OSError as error:
        raise KeyFileError(
            f"cannot write the key {path}: {error.strerror}; an existing key is never overwritten, move it away first"
        ) from error
    return signer


def load_key(path: Path, passphrase: bytes = b"") -> Signer:
    """Read a private key. Raises KeyFileError."""
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase or None)
    except OSError as error:
        raise KeyFileError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"the key {path} cannot be used: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"the key {path} is not an Ed25519 key")
    return Signer(key)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(opened, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(opened)
