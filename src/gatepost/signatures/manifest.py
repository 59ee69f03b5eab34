"""What a set of signatures is made of, proved: SHA256SUMS in the form of sha256sum(1), with a version, signed by its maker.

What it does: reads and verifies SHA256SUMS, and the header of ClamAV's own database files, which carry their own digest.
Not its job: reading files (`fetch`), judging what the signatures catch (`update`).
Raises: `RefusedError`, whose text says what is wrong with the set.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"

CLAMAV_HEADER = 512
"""Bytes of the header of a ClamAV database (CVD)."""

MOST_FILES = 10_000


class RefusedError(Exception):
    """A set is not taken; the one in use stays."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a set by name, each with its SHA-256 in hex; `version` only grows, `made` is in seconds since the epoch (0 unknown)."""

    files: Mapping[str, str]
    version: int
    made: float = 0.0


_VERSION = re.compile(r"^# version (\d{1,18})$", re.MULTILINE)
_MADE = re.compile(r"^# made (\d{1,12})$", re.MULTILINE)
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9][A-Za-z0-9._-]{0,127})")


def parse(text: bytes) -> Manifest:
    """Read SHA256SUMS: `# version N` and `# made SECONDS` as comments, then a line for each file, which has no folder in its name."""
    try:
        lines = text.decode("ascii")
    except UnicodeDecodeError:
        raise RefusedError(f"{SUMS} is not plain text") from None
    version = _VERSION.search(lines)
    if version is None or not lines.endswith("\n"):
        raise RefusedError(f"{SUMS} has no line like '# version 2026010100', or is cut off")
    files: dict[str, str] = {}
    for line in lines.splitlines():
        if line and not line.startswith("#"):
            match = _LINE.fullmatch(line)
            if match is None or match[2] in files or match[2] in {SUMS, SIGNATURE}:
                raise RefusedError(f"{SUMS} has a line that cannot be: {line[:80]!r}")
            files[match[2]] = match[1]
    if not files or len(files) > MOST_FILES:
        raise RefusedError(f"{SUMS} names {len(files)} files")
    made = _MADE.search(lines)
    return Manifest(files, int(version[1]), float(made[1]) if made else 0.0)


def verify_signature(text: bytes, signature: bytes, key: str) -> None:
    """Check that the owner of `key` (base64) has signed `text`; `signature` is base64 too."""
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
        public.verify(base64.b64decode(signature.strip(), validate=True), text)
    except (InvalidSignature, binascii.Error, ValueError):
        raise RefusedError(f"{SUMS} is not signed by the key of the site file") from None


def verify_pin(text: bytes, pin: str) -> None:
    """Check that `text` is exactly what the site file pins."""
    if hashlib.sha256(text).hexdigest() != pin:
        raise RefusedError(f"{SUMS} is not the one that the site file pins")


def verify_file(name: str, content: bytes, manifest: Manifest) -> None:
    """Check one file against its digest."""
    if hashlib.sha256(content).hexdigest() != manifest.files[name]:
        raise RefusedError(f"{name} is damaged or cut off: its SHA-256 is not the one in {SUMS}")


def clamav(files: Mapping[str, bytes]) -> Manifest:
    """A manifest for ClamAV's own databases (.cvd, .cld), which say version, time and, when packed, their digest in their header."""
    sums, versions, made = {}, [], []
    for name, content in files.items():
        version, at = _clamav_header(name, content)
        sums[name] = hashlib.sha256(content).hexdigest()
        versions.append(version)
        made.append(at)
    if not sums:
        raise RefusedError(f"there is neither {SUMS} nor a ClamAV database")
    return Manifest(sums, sum(versions), max(made))


def _clamav_header(name: str, content: bytes) -> tuple[int, float]:
    """Version and time of a database; its digest is checked where it holds (a .cld is changed after it was made)."""
    fields = content[:CLAMAV_HEADER].split(b":")
    if fields[0] != b"ClamAV-VDB" or len(fields) < 8 or not fields[2].isdigit() or len(content) <= CLAMAV_HEADER:  # noqa: PLR2004 sigtool(1)
        raise RefusedError(f"{name} is no ClamAV database, or is cut off")
    if name.endswith(".cvd") and hashlib.md5(content[CLAMAV_HEADER:], usedforsecurity=False).hexdigest().encode() != fields[5]:
        raise RefusedError(f"{name} is damaged or cut off: its digest is not the one in its header")
    try:
        at = calendar.timegm(time.strptime(fields[1].decode()[:17], "%d %b %Y %H-%M"))
    except (ValueError, UnicodeDecodeError):
        at = 0
    return int(fields[2]), float(at)
