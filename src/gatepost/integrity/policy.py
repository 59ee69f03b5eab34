"""A compiled policy: which rule watches which object. A value without I/O, canonical as bytes so that it can be signed.

Not its job: reading the site file (`compile`), or making a policy for a host (`default`).
Raises: nothing; what is wrong with a policy is found by `compile`.
"""

from __future__ import annotations

import hashlib

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """One rule: everything under `top` (a key) is watched for `attributes`, down to `depth` levels (-1 without end, 0 only `top`).

    `pattern` (a regular expression over the whole path, "" for all) narrows it; with `skip` the objects are left alone (a stop point).
    `always` asks for a full hash in every run, whatever the metadata say. `severity` runs from 0 to 1,000,000 as in Tripwire.
    """

    name: str
    top: bytes
    attributes: int
    severity: int = 66
    mail: tuple[str, ...] = ()
    depth: int = -1
    pattern: str = ""
    skip: bool = False
    always: bool = False


class Policy(msgspec.Struct, frozen=True):
    """All rules, and the keys that must not exist. `algorithm` is sha256 or blake3."""

    rules: tuple[Rule, ...]
    absent: tuple[bytes, ...] = ()
    algorithm: str = "sha256"


def packed(policy: Policy) -> bytes:
    """The policy as bytes, the same for equal policies."""
    return msgspec.msgpack.encode(policy)


def unpacked(data: bytes) -> Policy:
    """The policy of `packed`. Raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(data, type=Policy)


def digest(policy: Policy) -> str:
    """SHA-256 of the policy, in hex."""
    return hashlib.sha256(packed(policy)).hexdigest()
