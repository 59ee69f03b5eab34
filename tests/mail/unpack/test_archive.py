"""Formats that libarchive or 7-Zip open."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.eicar import EICAR
from tests.support.unpacking import caught, names, unpack

from gatepost.mail.model import Kind
from gatepost.mail.unpack import external
from gatepost.system.children import find

MAKERS = {
    "7z": ["7z", "a", "-bd", "OUT", "setup.exe"],
    "wim": ["7z", "a", "-bd", "-twim", "OUT", "setup.exe"],
    "arj": ["arj", "a", "OUT", "setup.exe"],
    "lzo": ["lzop", "-o", "OUT", "setup.exe"],
    "lz4": ["lz4", "-q", "setup.exe", "OUT"],
    "iso": ["genisoimage", "-quiet", "-J", "-R", "-o", "OUT", "setup.exe"],
    "Z": ["sh", "-c", "compress -c setup.exe > OUT"],
    "cpio": ["sh", "-c", "echo setup.exe | cpio -o -H newc > OUT"],
    "a": ["ar", "r", "OUT", "setup.exe"],
    "squashfs": ["mksquashfs", "setup.exe", "OUT", "-quiet", "-no-progress"],
}


def _made(folder: Path, kind: str, *switches: str) -> bytes:
    maker = MAKERS[kind]
    needed = "compress" if kind == "Z" else "cpio" if kind == "cpio" else maker[0]
    if not find(needed):
        pytest.skip(f"needs the program {needed} to make the archive")
    (folder / "setup.exe").write_bytes(EICAR)
    out = f"out.{kind}"
    command = [*(word.replace("OUT", out) for word in maker), *switches]
    subprocess.run(command, cwd=folder, check=kind == "Z", capture_output=True)
    return (folder / out).read_bytes()


@pytest.mark.parametrize("kind", MAKERS)
def test_an_archive_is_opened(tmp_path: Path, kind: str) -> None:
    found = unpack(_made(tmp_path, kind))
    assert caught(found)
    assert not found.findings


@pytest.mark.parametrize("header", [(), ("-mhe=on",)])
def test_a_password_opens_a_7z(tmp_path: Path, header: tuple[str, ...]) -> None:
    data = _made(tmp_path, "7z", "-pgeheim7", *header)
    assert caught(unpack(data, passwords=("wrong", "geheim7")))
    locked = unpack(data, passwords=("wrong",))
    assert not caught(locked)
    assert names(locked, Kind.ENCRYPTED) == {"archive-encrypted"}


def test_a_missing_program_is_a_finding_with_a_remedy(tmp_path: Path) -> None:
    data = _made(tmp_path, "arj")
    external.switch(on=False)
    try:
        found = unpack(data)
    finally:
        external.switch(on=True)
    assert names(found, Kind.UNCHECKED) == {"program-7z"}
    assert "install" in found.findings[0].detail


@pytest.mark.parametrize("kind", ["7z", "cpio", "iso", "lz4"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_an_archive_cut_short_is_never_clean(tmp_path: Path, kind: str, part: float) -> None:
    data = _made(tmp_path, kind)
    found = unpack(data[: int(len(data) * part)])
    assert caught(found) or found.findings
