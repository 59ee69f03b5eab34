"""Cryptographic envelopes: CMS (S/MIME) and OpenPGP.

What it does: takes the content out of signed and compressed CMS, in DER or BER; says ENCRYPTED of enveloped CMS and PGP messages.
Not its job: verifying signatures; keys.
Raises: `BudgetError`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from gatepost.mail.model import Kind
from gatepost.mail.unpack.decompress import inflate
from gatepost.mail.unpack.opened import Member, Opened, UnpackError

_SIGNED, _ENVELOPED, _ENCRYPTED, _AUTHENTICATED = (bytes.fromhex("2a864886f70d0107" + last) for last in ("02", "03", "06", "05"))
_SIGNED_ENVELOPED, _DIGESTED = bytes.fromhex("2a864886f70d010704"), bytes.fromhex("2a864886f70d010705")
_COMPRESSED, _AUTH_ENVELOPED = (bytes.fromhex("2a864886f70d01091001" + last) for last in ("09", "17"))
_OBJECT_ID, _OCTETS, _SEQUENCE, _EXPLICIT = 0x06, 0x04, 0x30, 0xA0
_CONSTRUCTED = 0x20
_DEPTH_MOST = 60
_ELEMENTS_MOST = 200_000
_ZLIB_BITS = 15


class _Element:
    """One BER element: tag byte and content; definite or indefinite length (X.690 8.1)."""

    __slots__ = ("content", "stop", "tag")

    def __init__(self, tag: int, content: memoryview, stop: int) -> None:
        self.tag = tag
        self.content = content
        self.stop = stop


def _element(data: memoryview, at: int, depth: int = 0) -> _Element:
    """The element at `at`. Raises UnpackError when there is none."""
    if at + 2 > len(data) or depth > _DEPTH_MOST:
        raise UnpackError("the CMS structure is cut off or too deep")
    tag, length, start = data[at], data[at + 1], at + 2
    if length == 0x80:  # noqa: PLR2004 - indefinite length
        stop = start
        while stop + 2 <= len(data) and bytes(data[stop : stop + 2]) != b"\0\0":
            stop = _element(data, stop, depth + 1).stop
        return _Element(tag, data[start:stop], stop + 2)
    if length > 0x80:  # noqa: PLR2004 - the long form
        count = length & 0x7F
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    return _Element(tag, data[start : start + length], min(start + length, len(data)))


def _children(content: memoryview) -> list[_Element]:
    found: list[_Element] = []
    at = 0
    while at < len(content) and len(found) < _ELEMENTS_MOST:
        element = _element(content, at)
        if element.tag == 0 and not element.content:
            break
        found.append(element)
        at = element.stop
    return found


def _octets(element: _Element, depth: int = 0) -> Iterator[memoryview]:
    """An octet string, whole or in pieces of pieces (X.690 8.7)."""
    if element.tag & _CONSTRUCTED and depth < _DEPTH_MOST:
        for child in _children(element.content):
            yield from _octets(child, depth + 1)
    else:
        yield element.content


def read_cms(opened: Opened) -> Iterator[Member]:
    """The content of a CMS message (RFC 5652 3)."""
    outer = _children(_element(opened.body, 0).content)
    if not outer or outer[0].tag != _OBJECT_ID:
        raise UnpackError("no CMS content type")
    kind = bytes(outer[0].content)
    if kind in {_ENVELOPED, _ENCRYPTED, _SIGNED_ENVELOPED, _AUTH_ENVELOPED}:
        opened.find(Kind.ENCRYPTED, "cms-encrypted", "S/MIME encrypted: only the addressee's key opens it")
        return
    if kind not in {_SIGNED, _COMPRESSED, _DIGESTED, _AUTHENTICATED} or len(outer) < 2:  # noqa: PLR2004
        opened.find(Kind.UNCHECKED, "cms-unknown", "a CMS content type that is not known here")
        return
    content = b"".join(_content(_children(outer[1].content)))
    if not content:
        return
    if kind == _COMPRESSED:
        content = opened.gather_or_find(inflate(memoryview(content), _ZLIB_BITS))
    else:
        opened.meter.spend(len(content))
    yield Member("content.eml", content, declared="message/rfc822")


def _content(inside: list[_Element]) -> Iterator[memoryview]:
    """The encapsulated octets: SEQUENCE { type, [0] EXPLICIT OCTET STRING } (RFC 5652 5.2), found in the first such sequence."""
    for element in _children(inside[0].content) if inside else ():
        if element.tag != _SEQUENCE:
            continue
        row = _children(element.content)
        if len(row) > 1 and row[0].tag == _OBJECT_ID and row[1].tag == _EXPLICIT:
            for child in _children(row[1].content):
                yield from _octets(child)
            return


def read_pgp(opened: Opened) -> Iterator[Member]:
    """A PGP message: encrypted for all we can tell."""
    opened.find(Kind.ENCRYPTED, "pgp-encrypted", "PGP encrypted: only the addressee's key opens it")
    yield from ()


_ARMOUR = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{3,40})-----\s*(?:[A-Za-z-]+: [^\n]*\n)*\s*([A-Za-z0-9+/=\s]{8,}?)(?:\n=[A-Za-z0-9+/]{4}\s*)?-----END", re.ASCII
)


def read_pem(opened: Opened) -> Iterator[Member]:
    """What stands between PEM marks: `certutil -decode` makes any file of it (RFC 7468)."""
    for number, match in enumerate(_ARMOUR.finditer(opened.body), 1):
        opened.budget.time(opened.part.path)
        try:
            data = base64.b64decode(match[2])
        except binascii.Error:
            continue
        opened.meter.spend(len(data))
        yield Member(f"block{number}.der", data)
