"""Getting a set of signatures from a folder or a URL: whole and proved, or not at all.

What it does: reads SHA256SUMS, proves it, and reads each file that it names, bounded in size and time.
Not its job: keeping the set (`store`), trying it (`update`).
Raises: `RefusedError`.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from gatepost.signatures import manifest
from gatepost.signatures.manifest import SIGNATURE, SUMS, Manifest, RefusedError
from gatepost.site.signatures import SignatureSet

SECONDS = 60.0
"""Seconds for which a server may be silent."""

CLAMAV_SUFFIXES = (".cvd", ".cld")

Read = Callable[[str, int], bytes]


def fetch(source: SignatureSet) -> tuple[Manifest, dict[str, bytes]]:
    """The set as it lies at its source: its manifest and its files by name."""
    read = _from_url(source.source) if source.source.startswith("http") else _from_folder(Path(source.source))
    if source.kind == "clamav" and _is_plain_folder(source):
        return _clamav(Path(source.source), source.size)
    sums = read(SUMS, source.size)
    if source.key:
        manifest.verify_signature(sums, read(SIGNATURE, source.size), source.key)
    if source.pin:
        manifest.verify_pin(sums, source.pin)
    proved = manifest.parse(sums)
    files: dict[str, bytes] = {}
    left = source.size
    for name in proved.files:
        files[name] = read(name, left)
        left -= len(files[name])
        manifest.verify_file(name, files[name], proved)
    return proved, files


def _is_plain_folder(source: SignatureSet) -> bool:
    """Whether this is what freshclam(1) leaves: databases that prove themselves."""
    return not (source.key or source.pin or (Path(source.source) / SUMS).exists())


def _clamav(folder: Path, size: int) -> tuple[Manifest, dict[str, bytes]]:
    read = _from_folder(folder)
    names = sorted(path.name for path in folder.glob("*") if path.suffix in CLAMAV_SUFFIXES) if folder.is_dir() else []
    files = {name: read(name, size) for name in names}
    return manifest.clamav(files), files


def _from_folder(folder: Path) -> Read:
    def read(name: str, limit: int) -> bytes:
        try:
            with (folder / name).open("rb") as file:
                return _bounded(name, file.read(limit + 1), limit)
        except OSError as error:
            raise RefusedError(f"{folder / name} cannot be read: {error.strerror}") from None

    return read


def _from_url(url: str) -> Read:
    def read(name: str, limit: int) -> bytes:
        address = f"{url.rstrip('/')}/{name}"
        try:
            with urllib.request.urlopen(address, timeout=SECONDS) as answer:  # noqa: S310 http(s) by the site's check
                return _bounded(name, answer.read(limit + 1), limit)
        except (urllib.error.URLError, HTTPException, OSError) as error:
            raise RefusedError(f"{address} cannot be fetched: {error}") from None

    return read


def _bounded(name: str, content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise RefusedError(f"{name} makes the set larger than the site file allows; raise size, if this is right")
    return content
