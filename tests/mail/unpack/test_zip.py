"""ZIP archives: whatever some reader would extract comes out, and every disagreement is named."""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest
from tests.support.containers import ZipFile, deflate, end, zip_of
from tests.support.eicar import EICAR
from tests.support.unpacking import caught, contents, names, unpack

from gatepost.mail.model import Kind, Limits
from gatepost.system.children import find

EVIL = ZipFile.of(b"setup.exe", EICAR)
CLEAN = ZipFile.of(b"readme.txt", b"Nothing to see here.\n")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_honest_archive_is_opened_without_any_finding(method: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a/", b"")
        archive.writestr("a/setup.exe", EICAR)
        archive.writestr("a/readme.txt", b"hello\n" * 50)
    found = unpack(out.getvalue())
    assert contents(found) == [EICAR, b"hello\n" * 50]
    assert not found.findings


@pytest.mark.parametrize(
    ("quirk", "local", "central"),
    [
        ("zip-names-differ", EVIL.but(name=b"notes.txt"), EVIL),
        ("zip-methods-differ", EVIL, EVIL.but(method=0)),
        ("zip-methods-differ", EVIL.but(method=0), EVIL),
        ("zip-sizes-differ", EVIL.but(size=1), EVIL),
        ("zip-encryption-differs", EVIL, EVIL.but(flags=1)),
        ("zip-encryption-differs", EVIL.but(flags=1), EVIL),
        ("zip-hidden-entry", EVIL, None),
    ],
)
def test_headers_that_disagree_are_read_both_ways_and_named(quirk: str, local: ZipFile, central: ZipFile | None) -> None:
    found = unpack(zip_of((local, central), CLEAN))
    assert caught(found)
    assert quirk in names(found, Kind.AMBIGUOUS)


def test_both_names_of_an_entry_are_kept() -> None:
    found = unpack(zip_of((EVIL.but(name=b"notes.txt"), EVIL)))
    assert {"notes.txt", "setup.exe"} <= set(found.parts[1].names)


@pytest.mark.parametrize("order", [(EVIL, CLEAN), (CLEAN, EVIL)])
def test_both_of_two_archives_in_a_row_are_read(order: tuple[ZipFile, ZipFile]) -> None:
    found = unpack(zip_of(order[0]) + zip_of(order[1]))
    assert caught(found)
    assert b"Nothing to see here.\n" in contents(found)
    assert names(found, Kind.AMBIGUOUS)


@pytest.mark.parametrize(
    "data",
    [
        EVIL.local(),
        zip_of(EVIL)[:-22],
        zip_of(CLEAN, comment=zip_of(EVIL)),
        EVIL.local() + EVIL.central(0) + end(0, 0, 0),
        zip_of(EVIL) + b"\r\n" * 40_000,
        b"MZ" + bytes(700) + zip_of(EVIL),
        zip_of(EVIL, prefix=b"MZ" + bytes(700)),
    ],
    ids=[
        "no directory",
        "no end record",
        "in a comment",
        "end record points nowhere",
        "70 kB behind",
        "after a stub",
        "after a stub, adjusted",
    ],
)
def test_an_entry_is_found_whatever_became_of_the_records_round_it(data: bytes) -> None:
    assert caught(unpack(data))


def test_an_archive_stored_in_an_archive_is_no_hidden_entry() -> None:
    found = unpack(zip_of(CLEAN, ZipFile.of(b"inner.zip", zip_of(EVIL), method=0)))
    assert caught(found)
    assert not found.findings
    assert [part.path for part in found.parts] == ["1", "1!readme.txt", "1!inner.zip", "1!inner.zip!setup.exe"]


def test_a_program_that_contains_the_signature_is_not_an_archive() -> None:
    assert not unpack(b"MZ\x90\0" + bytes(200) + b"PK\x03\x04 and PK\x01\x02 are constants" + bytes(100)).findings


@pytest.mark.parametrize(
    "descriptor",
    [
        b"PK\x07\x08" + struct.pack("<III", EVIL.crc, len(EVIL.packed), len(EICAR)),
        struct.pack("<III", EVIL.crc, len(EVIL.packed), len(EICAR)),
    ],
)
def test_a_streamed_entry_is_honest(descriptor: bytes) -> None:
    local = EVIL.but(flags=8, crc=0, size=0, packed_size=0)
    body = local.local() + descriptor
    directory = EVIL.but(flags=8).central(0)
    found = unpack(body + directory + end(1, len(directory), len(body)))
    assert caught(found)
    assert not found.findings


@pytest.mark.parametrize(("method", "packed"), [(12, bz2.compress(EICAR)), (95, lzma.compress(EICAR)), (9, deflate(EICAR))])
def test_methods_beyond_the_standard_library_are_known(method: int, packed: bytes) -> None:
    found = unpack(zip_of(EVIL.but(method=method, packed=packed)))
    assert caught(found)
    assert not found.findings


def test_an_unknown_method_is_said() -> None:
    found = unpack(zip_of(ZipFile.of(b"a.bin", bytes(range(256)), method=0).but(method=77)))
    assert names(found, Kind.UNCHECKED) >= {"zip-method"} or names(found, Kind.UNCHECKED) >= {"archive-damaged"}


def test_a_claim_of_encryption_over_plain_data_does_not_hide_it() -> None:
    assert caught(unpack(zip_of(EVIL.but(flags=1))))


def _locked(folder: Path, *switches: str) -> bytes:
    if not find("7z"):
        pytest.skip("needs 7-Zip (package p7zip-full) to make an encrypted archive")
    (folder / "setup.exe").write_bytes(EICAR)
    subprocess.run(["7z", "a", "-bd", "-pgeheim7", *switches, "a.zip", "setup.exe"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return (folder / "a.zip").read_bytes()


@pytest.mark.parametrize("method", ["ZipCrypto", "AES128", "AES256"])
def test_a_password_from_the_letter_opens_an_encrypted_archive(tmp_path: Path, method: str) -> None:
    data = _locked(tmp_path, "-tzip", f"-mem={method}")
    assert caught(unpack(data, passwords=("wrong", "geheim7")))
    without = unpack(data, passwords=("wrong",))
    assert not caught(without)
    assert names(without, Kind.ENCRYPTED) == {"zip-encrypted"}


def test_entries_that_share_bytes_end_at_the_limit() -> None:
    packed = deflate(bytes(8 << 20))
    kernel = ZipFile(b"a", packed, 8 << 20, zlib.crc32(bytes(8 << 20)))
    body = kernel.local()
    directory = b"".join(kernel.but(name=b"%03d" % n).central(0) for n in range(500))
    found = unpack(body + directory + end(500, len(directory), len(body)))
    assert len(found.parts) == 2
    assert names(found, Kind.AMBIGUOUS)


def test_too_many_entries_are_unchecked() -> None:
    found = unpack(zip_of(*(ZipFile.of(b"%d" % n, b"", method=0) for n in range(60))), limits=Limits(parts=50))
    assert names(found, Kind.UNCHECKED) == {"limit-parts"}


@pytest.mark.parametrize("cut", range(1, len(zip_of(EVIL, CLEAN)), 7))
def test_an_archive_cut_short_is_never_clean(cut: int) -> None:
    found = unpack(zip_of(EVIL, CLEAN)[:cut])
    assert caught(found) or found.findings or cut < 30 + len(EVIL.name)
