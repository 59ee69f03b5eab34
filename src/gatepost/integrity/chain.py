"""Signed lines that hang together: each names the digest of the one before, so that none can be changed, dropped or put in unseen.

A line is JSON without line breaks, a tab, the id of the key, a tab, the signature in base64. The signature and the digest cover the JSON.
The last line can be cut off unseen by the chain alone; so its digest is kept elsewhere too (reports name the head of the ledger, mails
the digest of the report).
Raises: `ChainError`, which names the first line that is wrong and how.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gatepost.integrity.sign import PublicKey, Signer

START: Final = "0" * 64
"""What the first line names as its former."""


class ChainError(Exception):
    """A line was changed, cut, dropped or signed by a stranger."""


@dataclass(frozen=True, slots=True)
class Link:
    """A verified line: its record, its digest in hex, and the id of the key that signed it."""

    record: Mapping[str, Any]
    digest: str
    key: str


def sealed(record: Mapping[str, Any], signer: Signer) -> bytes:
    """A record as a signed line."""
    body = json.dumps(record, sort_keys=True, separators=(",", ":")).encode("ascii")
    signature = base64.b64encode(signer.sign(body))
    return b"\t".join((body, signer.public.id.encode("ascii"), signature)) + b"\n"


def opened(line: bytes, trusted: Iterable[PublicKey], name: str) -> Link:
    """Verify one line, called `name` in errors. Raises ChainError."""
    if not line.endswith(b"\n"):
        raise ChainError(f"{name} is cut short: it has no end")
    parts = line[:-1].split(b"\t")
    if len(parts) != 3:  # noqa: PLR2004 - record, key, signature
        raise ChainError(f"{name} is cut short or was edited: it is not a signed record")
    body, key_id, encoded = parts
    key = next((k for k in trusted if k.id.encode("ascii") == key_id), None)
    if key is None:
        raise ChainError(f"{name} is signed by the key {key_id.decode('ascii', 'replace')}, which is not trusted: it is forged")
    try:
        signature = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        signature = b""
    if not key.verifies(signature, body):
        raise ChainError(f"{name} was edited: its signature does not fit")
    return Link(_record(body, name), hashlib.sha256(body).hexdigest(), key.id)


def _record(body: bytes, name: str) -> dict[str, Any]:
    try:
        record = json.loads(body)
    except ValueError as error:
        raise ChainError(f"{name} cannot be read: {error}") from error
    if not isinstance(record, dict):
        raise ChainError(f"{name} is not a record")
    return record
