"""TNEF (winmail.dat), the container of Exchange and Outlook (MS-OXTNEF).

What it does: yields attachments with their names, and the texts of the message, by attribute and by MAPI property.
Not its job: check sums, which readers ignore.
Raises: `BudgetError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from gatepost.mail.model import Kind
from gatepost.mail.unpack.opened import Member, Opened, UnpackError

_BODY, _MESSAGE_PROPERTIES = 0x2800C, 0x69003
_RENDERING, _TITLE, _DATA, _PROPERTIES, _TRANSPORT = 0x69002, 0x18010, 0x6800F, 0x69005, 0x69001
_DATA_IDS = {0x3701}
_NAME_IDS = {0x3704, 0x3707, 0x3001}
_TEXT_IDS = {0x1000: "body.txt", 0x1013: "body.html"}
_RTF_ID = 0x1009
_FIXED = {2: 4, 3: 4, 4: 4, 0xA: 4, 0xB: 4, 5: 8, 6: 8, 7: 8, 0x14: 8, 0x40: 8, 0x48: 16, 0: 0, 1: 0}
_STRING8, _UNICODE, _OBJECT, _BINARY = 0x1E, 0x1F, 0xD, 0x102
_MULTIPLE = 0x1000
_NAMED = 0x8000
_VALUES_MOST = 10_000
_RTF_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArial"
    b"Times New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)


@dataclass(slots=True)
class _Attachment:
    names: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


def read_tnef(opened: Opened) -> Iterator[Member]:
    """Every attachment and text."""
    attachment = _Attachment()
    for code, body in _attributes(opened):
        if code == _RENDERING:
            yield from _flush(opened, attachment)
            attachment = _Attachment()
        elif code in {_TITLE, _TRANSPORT}:
            attachment.names.append(body.split(b"\0")[0].decode("cp1252", "replace"))
        elif code == _DATA:
            attachment.bodies.append(bytes(body))
        elif code == _PROPERTIES:
            for number, value in _properties(body):
                _attachment_property(attachment, number, value)
        elif code == _MESSAGE_PROPERTIES:
            yield from _texts(opened, body)
        elif code == _BODY:
            opened.meter.spend(len(body))
            yield Member("body.txt", bytes(body))
    yield from _flush(opened, attachment)


def _attributes(opened: Opened) -> Iterator[tuple[int, bytes]]:
    """Code and body of each attribute; where lengths run over, the rest counts as the body."""
    data, at = opened.body, 6
    while at + 9 <= len(data):
        opened.budget.time(opened.part.path)
        _, code, size = struct.unpack_from("<BII", data, at)
        if at + 9 + size > len(data):
            opened.find(Kind.UNCHECKED, "damaged", "the TNEF file is cut off")
        yield code, bytes(data[at + 9 : at + 9 + size])
        at += 9 + size + 2


def _flush(opened: Opened, attachment: _Attachment) -> Iterator[Member]:
    names = tuple(dict.fromkeys(name for name in attachment.names if name))
    for body in dict.fromkeys(attachment.bodies):
        opened.meter.spend(len(body))
        yield Member(names[0] if names else "attachment", body, names=names[1:])


def _attachment_property(attachment: _Attachment, number: int, value: bytes) -> None:
    if number in _DATA_IDS:
        attachment.bodies.append(value[16:] if len(value) > 16 else value)  # noqa: PLR2004 - an object begins with its interface's GUID
    elif number in _NAME_IDS:
        attachment.names.append(_string(value))


def _string(value: bytes) -> str:
    wide = value[1:2] == b"\0" and len(value) > 1
    return value.decode("utf-16-le" if wide else "cp1252", "replace").split("\0")[0]


def _texts(opened: Opened, body: bytes) -> Iterator[Member]:
    for number, value in _properties(body):
        if number in _TEXT_IDS:
            opened.meter.spend(len(value))
            yield Member(_TEXT_IDS[number], value)
        elif number == _RTF_ID:
            try:
                text = decompress_rtf(value)
            except UnpackError as error:
                opened.find(Kind.UNCHECKED, "damaged", str(error))
                continue
            opened.meter.spend(len(text))
            yield Member("body.rtf", text)


def _properties(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each MAPI property; stops at the first that makes no sense."""
    if len(body) < 4:  # noqa: PLR2004 - the count
        return
    at = 4
    for _ in range(min(struct.unpack_from("<I", body)[0], _VALUES_MOST)):
        if at + 4 > len(body):
            return
        kind, number = struct.unpack_from("<HH", body, at)
        at = _past_name(body, at + 4) if number >= _NAMED else at + 4
        many, kind = kind & _MULTIPLE, kind & ~_MULTIPLE
        values, at = _values(body, at, kind, counted=bool(many) or kind in {_STRING8, _UNICODE, _OBJECT, _BINARY})
        if at < 0:
            return
        for value in values:
            yield number, value


def _past_name(body: bytes, at: int) -> int:
    """Past the name of a named property (MS-OXTNEF 2.1.3.6)."""
    if at + 24 > len(body):
        return len(body)
    kind, value = struct.unpack_from("<II", body, at + 16)
    return at + 24 + (-(-value // 4) * 4 if kind else 0)


def _values(body: bytes, at: int, kind: int, *, counted: bool) -> tuple[list[bytes], int]:
    fixed = _FIXED.get(kind)
    count = 1
    if counted:
        if at + 4 > len(body):
            return [], -1
        count, at = struct.unpack_from("<I", body, at)[0], at + 4
    values: list[bytes] = []
    for _ in range(min(count, _VALUES_MOST)):
        size = fixed
        if size is None:
            if kind not in {_STRING8, _UNICODE, _OBJECT, _BINARY} or at + 4 > len(body):
                return values, -1
            size, at = struct.unpack_from("<I", body, at)[0], at + 4
        values.append(body[at : at + size])
        at += -(-size // 4) * 4
    return values, at


def decompress_rtf(data: bytes) -> bytes:
    """Compressed RTF (MS-OXRTFCP 3.1). Raises UnpackError when it is no such thing."""
    if len(data) < 16:  # noqa: PLR2004 - the header
        raise UnpackError("the compressed RTF is cut off")
    size, magic = struct.unpack_from("<4xI4s", data)
    if magic == b"MELA":
        return data[16 : 16 + size]
    if magic != b"LZFu":
        raise UnpackError("the compressed RTF is of an unknown kind")
    ring, place, at = bytearray(_RTF_DICTIONARY.ljust(4096, b"\0")), len(_RTF_DICTIONARY), 16
    out = bytearray()
    while at < len(data) and len(out) < size:
        control, at = data[at], at + 1
        for bit in range(8):
            if control >> bit & 1:
                reference, at = int.from_bytes(data[at : at + 2], "big"), at + 2
                offset, length = reference >> 4, (reference & 15) + 2
                if offset == place % 4096 or at > len(data):
                    return bytes(out)
                for step in range(length):
                    byte = ring[(offset + step) % 4096]
                    out.append(byte)
                    ring[place % 4096] = byte
                    place += 1
            elif at < len(data):
                out.append(data[at])
                ring[place % 4096] = data[at]
                place, at = place + 1, at + 1
    return bytes(out)
