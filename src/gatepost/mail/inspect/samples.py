"""Harmless samples: the EICAR test file in every wrapping, and for each a twin that differs in one byte and must pass.

What it does: makes whole mails, always the same, with the standard library alone.
Not its job: judging engines by them (`certify`).
Raises: nothing.

The test file (https://www.eicar.org) is 68 bytes that do nothing and that every scanner calls a virus. It stands here in two pieces,
so that no scanner takes this file for it.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import io
import lzma
import quopri
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import zstandard

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
TWIN = EICAR.replace(b"STANDARD", b"STANDART")
_DEPTH = 8
_HEAD = (
    b"Received: from mail.example.org (mail.example.org [192.0.2.1]) by relay.example.com; Mon, 3 Jan 2022 09:00:00 +0000\r\n"
    b"Date: Mon, 3 Jan 2022 09:00:00 +0000\r\nFrom: Sample <sample@example.org>\r\nTo: <sample@example.com>\r\n"
    b"Subject: engine certification\r\nMessage-ID: <sample@example.org>\r\nMIME-Version: 1.0\r\n"
)
_TEXT = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nThis mail is a harmless sample.\r\n"

Wrap = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Sample:
    """One mail. `name` says how the content is wrapped; it must be found exactly if `infected`."""

    name: str
    infected: bool
    mail: bytes


def samples() -> Iterator[Sample]:
    """Give every wrapping twice: with the test file, and with its twin."""
    for name, wrap in WRAPPINGS.items():
        yield Sample(name, infected=True, mail=wrap(EICAR))
        yield Sample(name, infected=False, mail=wrap(TWIN))


def _single(fields: bytes, body: bytes) -> bytes:
    return _HEAD + fields + b"\r\n" + body + b"\r\n"


def _multipart(*parts: bytes, kind: bytes = b"mixed", boundary: bytes = b"=-sample-=") -> bytes:
    """Make a header field and body of a multipart entity."""
    inner = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n\r\n' + inner + b"--" + boundary + b"--\r\n"


def _base64(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def _attachment(content: bytes, name: str) -> bytes:
    fields = f'Content-Type: application/octet-stream; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
    return fields.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + _base64(content)


def _attached(name: str, pack: Wrap) -> Wrap:
    return lambda content: _HEAD + _multipart(_TEXT, _attachment(pack(content), name))


def _quoted(content: bytes) -> bytes:
    return quopri.encodestring(content).replace(b"\n", b"\r\n")


def _uuencode(content: bytes) -> bytes:
    lines = [binascii.b2a_uu(content[at : at + 45]).rstrip(b"\n") for at in range(0, len(content), 45)]
    return b"begin 644 sample.bin\r\n" + b"\r\n".join(lines) + b"\r\n`\r\nend"


def _forwarded(content: bytes) -> bytes:
    return _HEAD + _multipart(_TEXT, b"Content-Type: message/rfc822\r\n\r\n" + _attached("sample.bin", bytes)(content))


def _deep(content: bytes) -> bytes:
    entity = _attachment(content, "sample.bin")
    for level in range(_DEPTH):
        entity = _multipart(_TEXT, entity, boundary=b"=-sample-%d-=" % level)
    return _HEAD + entity


def _zip(method: int, name: str = "sample.bin") -> Wrap:
    def pack(content: bytes) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as archive:
            archive.writestr(zipfile.ZipInfo(name), content, method)
        return packed.getvalue()

    return pack


def _tar(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("sample.bin")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _lzma(content: bytes) -> bytes:
    return lzma.compress(content, format=lzma.FORMAT_ALONE)


def _zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


def _then(*packs: Wrap) -> Wrap:
    """Pack with one after the other."""

    def pack(content: bytes) -> bytes:
        for one in packs:
            content = one(content)
        return content

    return pack


_DEFLATED = _zip(zipfile.ZIP_DEFLATED)

WRAPPINGS: dict[str, Wrap] = {
    "body-7bit": lambda content: _single(b"Content-Type: text/plain\r\n", content),
    "body-no-mime": lambda content: _HEAD.replace(b"MIME-Version: 1.0\r\n", b"") + b"\r\n" + content + b"\r\n",
    "body-base64": lambda content: _single(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n", _base64(content)),
    "body-quoted-printable": lambda content: _single(
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n", _quoted(content)
    ),
    "body-uuencode": lambda content: _single(b"Content-Type: text/plain\r\n", b"see below\r\n\r\n" + _uuencode(content)),
    "body-html": lambda content: _single(b"Content-Type: text/html\r\n", b"<html><body><pre>" + content + b"</pre></body></html>"),
    "part-base64": _attached("sample.bin", bytes),
    "part-misnamed": _attached("picture.jpg", bytes),
    "part-in-alternative": lambda content: _HEAD + _multipart(_TEXT, _attachment(content, "sample.bin"), kind=b"alternative"),
    "part-in-forwarded-mail": _forwarded,
    "part-deep": _deep,
    "zip-stored": _attached("sample.zip", _zip(zipfile.ZIP_STORED)),
    "zip-deflated": _attached("sample.zip", _DEFLATED),
    "zip-bzip2": _attached("sample.zip", _zip(zipfile.ZIP_BZIP2)),
    "zip-lzma": _attached("sample.zip", _zip(zipfile.ZIP_LZMA)),
    "zip-misnamed": _attached("sample.txt", _DEFLATED),
    "zip-in-zip": _attached("sample.zip", _then(_DEFLATED, _zip(zipfile.ZIP_DEFLATED, "inner.zip"))),
    "zip-deep": _attached("sample.zip", _then(*[_DEFLATED] * _DEPTH)),
    "zip-after-junk": _attached("sample.zip", lambda content: b"junk" * 64 + _DEFLATED(content)),
    "tar": _attached("sample.tar", _tar),
    "tar-gzip": _attached("sample.tar.gz", _then(_tar, _gzip)),
    "tar-bzip2": _attached("sample.tar.bz2", _then(_tar, bz2.compress)),
    "tar-xz": _attached("sample.tar.xz", _then(_tar, lzma.compress)),
    "tar-zstd": _attached("sample.tar.zst", _then(_tar, _zstd)),
    "gzip": _attached("sample.gz", _gzip),
    "gzip-in-zip": _attached("sample.zip", _then(_gzip, _zip(zipfile.ZIP_DEFLATED, "sample.gz"))),
    "bzip2": _attached("sample.bz2", bz2.compress),
    "xz": _attached("sample.xz", lzma.compress),
    "lzma": _attached("sample.lzma", _lzma),
    "zstd": _attached("sample.zst", _zstd),
}
