"""Whether the installed program is the one that was released: every file against a signed list.

What it does: a package carries `manifest.json` (SHA-256 of each of its files, targets of links) and a signature over it; `verify` names every
file that is missing, changed or not in the list. Where there is no manifest it takes the RECORD of each installed distribution instead,
which shows damage, but not who made it.
Not its job: making packages (`scripts/build_deb.py`), the rest of the host (`gatepost.integrity`).
Raises: `InstalledError` when there is nothing to compare with, or the list itself cannot be believed.

Source: Recording installed projects (PEP 376, PEP 627).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

import msgspec

from gatepost.integrity.sign import KeyFileError, PublicKey, Signer, public_key
from gatepost.system.files import read

MANIFEST, SIGNATURE, KEY = "manifest.json", "manifest.sig", "release.pub"
CACHES = "__pycache__"
"""What Python compiles by itself is no file of ours; it is made again from what is."""


class InstalledError(Exception):
    """There is nothing that the files could be compared with; the text says why."""


class Manifest(msgspec.Struct, frozen=True):
    """The files of a package by path (from the root): SHA-256 in hex, or "-> target" for a link."""

    version: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was compared: how many files, by whose word ("" is nobody's), and what is wrong."""

    files: int
    by: str
    wrong: tuple[str, ...]


def mark(path: Path) -> str:
    """A file as the manifest has it."""
    return f"-> {path.readlink()}" if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()


def made(root: Path, version: str) -> Manifest:
    """The manifest of all files below `root`."""
    files = sorted(path for path in root.rglob("*") if (path.is_file() or path.is_symlink()) and CACHES not in path.parts)
    return Manifest(version, {f"/{path.relative_to(root)}": mark(path) for path in files})


def sealed(manifest: Manifest, signer: Signer) -> dict[str, bytes]:
    """The files that carry a manifest: itself, its signature, the key that verifies it."""
    content = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"))
    return {MANIFEST: content, SIGNATURE: signer.sign(content), KEY: f"{signer.public.text}\n".encode()}


def verify(prefix: Path, key: str = "", root: Path = Path("/")) -> Verified:
    """Compare what is installed at `prefix`. `key` is the public key to believe; without it the one that came along is."""
    if (prefix / MANIFEST).exists():
        return _by_manifest(prefix, key, root)
    if key:
        raise InstalledError(f"there is no {prefix / MANIFEST}: only the Debian package carries a signed list")
    return _by_records()


def _by_manifest(prefix: Path, key: str, root: Path) -> Verified:
    content = read(prefix / MANIFEST)
    signer = _believed(prefix, key)
    if not signer.verifies(read(prefix / SIGNATURE), content):
        raise InstalledError(f"the signature of {prefix / MANIFEST} is not of key {signer.id}: the list itself was changed")
    manifest = msgspec.json.decode(content, type=Manifest)
    wrong = [said for path, expected in manifest.files.items() if (said := _wrong(root, path, expected))]
    return Verified(len(manifest.files), f"key {signer.id}", (*wrong, *_strangers(prefix, root, manifest)))


def _believed(prefix: Path, key: str) -> PublicKey:
    try:
        return public_key(key or read(prefix / KEY).decode())
    except (KeyFileError, OSError, UnicodeDecodeError) as error:
        raise InstalledError(f"the release key cannot be read: {error}") from None


def _wrong(root: Path, path: str, expected: str) -> str:
    place = root / path.lstrip("/")
    try:
        return "" if mark(place) == expected else f"{path} was changed"
    except OSError as error:
        return f"{path}: {error.strerror}"


def _strangers(prefix: Path, root: Path, manifest: Manifest) -> Iterator[str]:
    """Files below our own folder that no package brought: Python would load them like ours."""
    known = {MANIFEST, SIGNATURE, KEY}
    for path in sorted(prefix.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        name = f"/{path.relative_to(root)}"
        if CACHES not in path.parts and name not in manifest.files and path.name not in known:
            yield f"{name} is not in the package"


def _by_records() -> Verified:
    ours = list(distributions())
    found = [(one, file) for one in ours for file in one.files or () if file.hash and CACHES not in file.parts]
    if not found:
        raise InstalledError("no installed distribution has a RECORD")
    wrong = [said for one, file in found if (said := _record_wrong(one, str(file), file.hash.value if file.hash else ""))]
    return Verified(len(found), "", tuple(wrong))


def _record_wrong(one: Distribution, name: str, expected: str) -> str:
    path = Path(str(one.locate_file(name)))
    try:
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "" if digest == expected else f"{path} was changed"
