"""Raw mails and packed payloads, written byte by byte, since no library writes broken ones."""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import libarchive

from tests.support.containers import ZipFile, zip_of
from tests.support.eicar import EICAR


@dataclass(frozen=True)
class Case:
    """A mail. `seen`: the test file must be found in it; otherwise any finding that holds the mail will do."""

    name: str
    mail: bytes
    seen: bool = True


class Cases(list[Case]):
    """A list that cases are added to."""

    def add(self, name: str, mail: bytes, *, seen: bool = True) -> None:
        self.append(Case(name, mail, seen))


def b64(data: bytes, width: int = 76, eol: bytes = b"\r\n") -> bytes:
    text = base64.b64encode(data)
    return b"".join(text[at : at + width] + eol for at in range(0, len(text), width))


def qp(data: bytes) -> bytes:
    """Every byte escaped."""
    return b"".join(b"".join(b"=%02X" % byte for byte in data[at : at + 20]) + b"=\r\n" for at in range(0, len(data), 20)) + b"\r\n"


def mail(*fields: bytes, body: bytes = b"", subject: bytes = b"report") -> bytes:
    top = (
        b"From: Pat <pat@example.net>",
        b"To: lee@example.org",
        b"Subject: " + subject,
        b"Message-ID: <1@example.net>",
        b"MIME-Version: 1.0",
    )
    return b"".join(row + b"\r\n" for row in (*top, *fields)) + b"\r\n" + body


def part(data: bytes, *fields: bytes) -> bytes:
    return b"".join(row + b"\r\n" for row in fields) + b"\r\n" + data


def multipart(*parts: bytes, boundary: bytes = b"frontier", close: bool = True) -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts)
    return body + (b"--" + boundary + b"--\r\n" if close else b"")


TEXT = part(b"Please see the attachment.\r\n", b"Content-Type: text/plain; charset=utf-8")
BASE64 = b"Content-Transfer-Encoding: base64"
OCTETS = b"Content-Type: application/octet-stream"


def named(name: str | bytes) -> bytes:
    return b'Content-Disposition: attachment; filename="' + (name.encode() if isinstance(name, str) else name) + b'"'


def attached(data: bytes, name: str = "report.dat", kind: bytes = OCTETS, text: bytes = TEXT, subject: bytes = b"report") -> bytes:
    """A letter with one file."""
    file = part(b64(data), kind, named(name), BASE64)
    return mail(b"Content-Type: multipart/mixed; boundary=frontier", body=multipart(text, file), subject=subject)


def letter(text: bytes) -> bytes:
    return part(text, b"Content-Type: text/plain; charset=utf-8")


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def archived(kind: str, *files: tuple[str, bytes], packed: str | None = None) -> bytes:
    """An archive by libarchive: "7zip", "iso9660", "cpio", "ar_bsd", "gnutar", "pax"."""
    out = bytearray()

    def take(piece: bytes) -> int:
        out.extend(piece)
        return len(piece)

    with libarchive.custom_writer(take, kind, packed) as archive:
        for name, data in files:
            archive.add_file_from_memory(name, len(data), data)
    return bytes(out)


def zip_locked(name: bytes, data: bytes, password: bytes) -> bytes:
    """A ZIP encrypted the traditional way (APPNOTE 6.1)."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(value: int, byte: int) -> int:
        return zlib.crc32(bytes((byte,)), value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def update(byte: int) -> None:
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    def lock(byte: int) -> int:
        mixed = (keys[2] | 2) & 0xFFFF
        out = byte ^ (mixed * (mixed ^ 1) >> 8 & 255)
        update(byte)
        return out

    for byte in password:
        update(byte)
    check = zlib.crc32(data)
    packed = bytes(lock(byte) for byte in b"elevenbytes" + bytes((check >> 24,)) + data)
    return zip_of(ZipFile(name, packed, len(data), check, method=0, flags=1))


def xor(data: bytes, key: int) -> bytes:
    return bytes(byte ^ key for byte in data)


def nest(times: int, data: bytes, wrap: Callable[[bytes], bytes]) -> bytes:
    for _ in range(times):
        data = wrap(data)
    return data


PAYLOAD = zipped(("data.bin", EICAR))
"""The test file in an honest ZIP: what a reader must decode before anybody can see it."""
