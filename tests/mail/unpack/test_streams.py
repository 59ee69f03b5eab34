"""Compressed streams and tar archives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile

import pytest
import zstandard
from tests.support.eicar import EICAR
from tests.support.unpacking import caught, contents, names, unpack

from gatepost.mail.model import Kind, Limits

PACKED = {
    "gz": gzip.compress(EICAR),
    "bz2": bz2.compress(EICAR),
    "xz": lzma.compress(EICAR),
    "lzma": lzma.compress(EICAR, lzma.FORMAT_ALONE),
    "zst": zstandard.compress(EICAR),
}


@pytest.mark.parametrize("suffix", PACKED)
def test_a_compressed_file_is_opened_and_its_name_shortened(suffix: str) -> None:
    found = unpack(PACKED[suffix], f"setup.exe.{suffix}")
    assert contents(found) == [EICAR]
    assert found.parts[1].path == "1!setup.exe"
    assert not found.findings


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_streams_in_a_row_are_one_file(suffix: str) -> None:
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[suffix]
    assert contents(unpack(pack(EICAR[:30]) + pack(EICAR[30:]), "a")) == [EICAR]


def test_what_lies_behind_a_stream_is_a_part_too() -> None:
    assert contents(unpack(gzip.compress(b"hello") + EICAR)) == [b"hello", EICAR]


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("missing", [1, 5, 8])
def test_a_stream_cut_short_is_unchecked_or_still_whole(suffix: str, missing: int) -> None:
    found = unpack(PACKED[suffix][:-missing])
    assert caught(found) or names(found, Kind.UNCHECKED)


def test_a_wrong_check_sum_does_not_hide_the_content() -> None:
    assert caught(unpack(PACKED["gz"][:-8] + bytes(8)))


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
def test_a_bomb_ends_at_the_limit_and_is_unchecked(suffix: str) -> None:
    zeros = bytes(12 << 20)
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}[suffix]
    found = unpack(pack(zeros), limits=Limits(ratio_floor=4 << 20))
    assert names(found, Kind.UNCHECKED) == {"limit-ratio"}
    assert contents(found) == []


def test_a_blank_bitmap_is_no_bomb() -> None:
    assert not unpack(gzip.compress(b"BM" + bytes(8_000_000))).findings


def test_layers_are_followed_to_the_end() -> None:
    assert caught(unpack(lzma.compress(bz2.compress(gzip.compress(_tar({"a/setup.exe": EICAR}))))))


def _tar(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_every_form_of_tar_is_read(form: int) -> None:
    name = "a" * 60 + "/" + "b" * 50 + ".exe"
    found = unpack(_tar({name: EICAR, "x.txt": b"hello"}, form))
    assert contents(found) == [EICAR, b"hello"]
    assert found.parts[1].names[0] == name
    assert not found.findings


def test_a_tar_of_before_posix_is_known_by_its_check_sum() -> None:
    data = bytearray(_tar({"setup.exe": EICAR}, tarfile.USTAR_FORMAT))
    data[257:265] = bytes(8)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert caught(unpack(bytes(data)))


def test_two_sizes_of_a_file_in_a_tar_are_both_read_and_named() -> None:
    """A reader that ignores the pax header sees the inner archive's members, one that heeds it sees the outer file."""
    inner = _tar({"setup.exe": EICAR}, tarfile.USTAR_FORMAT)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("notes.txt")
        info.size = 0
        info.pax_headers = {"size": str(len(inner))}
        archive.addfile(info)
    found = unpack(out.getvalue()[:1536] + inner + bytes(1024))
    assert caught(found)
    assert names(found, Kind.AMBIGUOUS) == {"tar-sizes-differ"}


def test_an_archive_behind_the_end_of_a_tar_is_read() -> None:
    assert caught(unpack(_tar({"a.txt": b"hello"}) + _tar({"setup.exe": EICAR})))
