"""apt's lists are read as apt keeps them: plain or compressed, and nothing that is no list."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import libarchive
import pytest
import zstandard

from gatepost.integrity import lists

DIGEST = "ab" * 32
TEXT = f"Package: tool\nVersion: 1\nSHA256: {DIGEST}\n\nPackage: other\nSHA256: {'cd' * 32}\n".encode()
BEGIN = "mirror_debian_dists_stable_main_binary-amd64_Packages"


def _lz4(path: Path, data: bytes) -> None:
    with libarchive.file_writer(str(path), "raw", "lz4") as archive:
        archive.add_file_from_memory("Packages", len(data), data)


WRITERS = {
    "": lambda path, data: path.write_bytes(data),
    ".gz": lambda path, data: path.write_bytes(gzip.compress(data)),
    ".xz": lambda path, data: path.write_bytes(lzma.compress(data)),
    ".zst": lambda path, data: path.write_bytes(zstandard.compress(data)),
    ".lz4": _lz4,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / lists.LISTS).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("end", WRITERS)
def test_a_list_is_read_however_it_is_compressed(root: Path, end: str) -> None:
    WRITERS[end](root / lists.LISTS / (BEGIN + end), TEXT)

    (found,) = lists.package_lists(root / lists.LISTS)
    assert lists.content(found) == TEXT
    assert lists.named(root, DIGEST)
    assert not lists.named(root, "ef" * 32)


@pytest.mark.parametrize("end", ["", ".gz", ".xz", ".lz4"])
def test_a_list_that_was_changed_is_read_anew(root: Path, end: str) -> None:
    path = root / lists.LISTS / (BEGIN + end)
    WRITERS[end](path, TEXT)
    assert lists.named(root, DIGEST)
    WRITERS[end](path, b"Package: tool\n")

    assert not lists.named(root, DIGEST)


@pytest.mark.parametrize("end", [".gz", ".xz", ".lz4", ".zst"])
def test_a_damaged_list_is_empty_and_names_nothing(root: Path, end: str) -> None:
    (root / lists.LISTS / (BEGIN + end)).write_bytes(b"nonsense")

    assert not lists.named(root, DIGEST)


def test_other_files_of_apt_are_no_lists(root: Path) -> None:
    for name in ("mirror_InRelease", f"{BEGIN}.part", "lock"):
        (root / lists.LISTS / name).write_bytes(TEXT)

    assert lists.package_lists(root / lists.LISTS) == []
