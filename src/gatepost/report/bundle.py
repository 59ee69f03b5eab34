"""Evidence for auditors as one file: a zip of documents with a signed list of their digests, which anybody can verify without this machine.

What it does: packs, signs, verifies; pure: bytes in, bytes out.
Not its job: what is evidence (the command line gathers it), and how an auditor gets the public key: not with the bundle.
Raises: `BundleError` for bytes that are no bundle.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gatepost.integrity.sign import PublicKey, Signer

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
LARGEST = 512 * 1024**2
"""Bytes that a bundle may unpack to."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member, so that the same evidence gives the same bytes."""


class BundleError(Exception):
    """What was given is no bundle, or it cannot be read; the text says why."""


class Listed(msgspec.Struct, frozen=True):
    """One file of a bundle."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What is signed: whose evidence, of what time, made when (text), by which key, the journal's newest link, and every file."""

    site: str
    period: str
    made: str
    key: str
    journal: dict[str, str]
    files: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a bundle says, and everything that is wrong with it (nothing: it is genuine and whole)."""

    manifest: Manifest
    problems: tuple[str, ...]


def packed(site: str, period: str, made: str, journal: Mapping[str, str], files: Mapping[str, bytes], signer: Signer) -> bytes:
    """The bundle. `journal` names the newest event: number and hash."""
    listed = tuple(Listed(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in sorted(files.items()))
    manifest = msgspec.json.format(msgspec.json.encode(Manifest(site, period, made, signer.public.text, dict(journal), listed)), indent=1)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in ((MANIFEST, manifest), (SIGNATURE, signer.sign(manifest).hex().encode()), *sorted(files.items())):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def verify(content: bytes, key: PublicKey) -> Verified:
    """Check a bundle against the key that its makers gave you another way. Raises BundleError."""
    members = _members(content)
    try:
        signed = members.pop(MANIFEST)
        manifest = msgspec.json.decode(signed, type=Manifest)
        signature = bytes.fromhex(members.pop(SIGNATURE).decode("ascii"))
    except KeyError as error:
        raise BundleError(f"{error.args[0]} is missing: this is no bundle of evidence") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise BundleError(f"the list of files or its signature cannot be read: {error}") from None
    return Verified(manifest, tuple(_problems(manifest, members, trusted=key.verifies(signature, signed))))


def _members(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(one.file_size for one in archive.infolist()) > LARGEST:
                raise BundleError("it unpacks to more than a bundle may have")
            if len(set(archive.namelist())) != len(archive.namelist()):
                raise BundleError("it has two files of one name")
            return {one.filename: archive.read(one) for one in archive.infolist()}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, zlib.error) as error:
        raise BundleError(f"it is damaged: {error}") from None


def _problems(manifest: Manifest, members: Mapping[str, bytes], *, trusted: bool) -> list[str]:
    found = []
    if not trusted:
        found.append("the signature is not of this key: the list of files was changed, or somebody else made it")
    listed = {one.name: one for one in manifest.files}
    found += [f"{name} is missing" for name in sorted(set(listed) - set(members))]
    found += [f"{name} was added" for name in sorted(set(members) - set(listed))]
    for name in sorted(set(listed) & set(members)):
        if hashlib.sha256(members[name]).hexdigest() != listed[name].sha256:
            found.append(f"{name} was changed")
    return found
