r"""RTF: the objects in it, however their digits are broken up.

What it does: yields each embedded object, and the file in it when it is a package.
Not its job: text and layout.
Raises: `BudgetError`.

Word skips everything inside `\objdata` that is not a hexadecimal digit, control words and ignorable groups too; other readers do not skip
the groups, so both readings are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatepost.mail.model import Kind
from gatepost.mail.unpack.office import native_package
from gatepost.mail.unpack.opened import Member, Opened

_OBJECT = re.compile(rb"\\objdata(?![a-z])|\\\*\s*\\(?:datastore|themedata|bgdata|datafield)(?![a-z])|\\pict(?![a-z])")
_BRACE = re.compile(rb"[{}]|\\bin(-?\d+) ?|\\[\\{}]")
_NOISE = re.compile(rb"\\[a-z]+-?\d* ?|\\'[0-9a-fA-F]?[0-9a-fA-F]?|\\[^a-z]", re.IGNORECASE)
_NOT_HEX = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))
_OBJECTS_MOST = 1000
_LINK = re.compile(rb"\\objautlink|\\objupdate(?![a-z])")
_LEAST = 16


def read_rtf(opened: Opened) -> Iterator[Member]:
    """Every object, in both readings when they differ."""
    data = bytes(opened.body)
    for number, match in enumerate(_OBJECT.finditer(data), 1):
        opened.budget.time(opened.part.path)
        if number > _OBJECTS_MOST:
            opened.find(Kind.UNCHECKED, "rtf-objects", f"more than {_OBJECTS_MOST} objects in an RTF file; the rest was not looked at")
            return
        yield from _object(opened, data, match.end(), number)


def _object(opened: Opened, data: bytes, start: int, number: int) -> Iterator[Member]:
    outside, everything, binary = _pieces(data, start)
    for blob in binary:
        opened.meter.spend(len(blob))
        yield Member(f"binary{number}", blob)
    for index, text in enumerate(dict.fromkeys((_digits(outside), _digits(everything)))):
        for shift in (0, 1) if index == 0 and len(text) % 2 else (0,):
            blob = bytes.fromhex(text[shift : len(text) - (len(text) - shift) % 2].decode("ascii"))
            if len(blob) < _LEAST:
                continue
            opened.meter.spend(len(blob))
            yield Member(f"object{number}.bin", blob, "rtf-groups" if index else "")
            yield from ole1(blob)


def _pieces(data: bytes, start: int) -> tuple[bytes, bytes, list[bytes]]:
    r"""The text up to the end of the group: without nested groups, with them, and what \bin holds."""
    depth, at, outside, everything, binary = 0, start, [], [], []
    while (match := _BRACE.search(data, at)) is not None:
        text = data[at : match.start()]
        everything.append(text)
        if depth == 0:
            outside.append(text)
        at = match.end()
        if match[1] is not None:
            size = min(max(int(match[1][:10]), 0), len(data) - at)
            binary.append(data[at : at + size])
            at += size
        elif match[0] == b"{":
            depth += 1
        elif match[0] == b"}":
            depth -= 1
            if depth < 0:
                return b"".join(outside), b"".join(everything), binary
    everything.append(data[at:])
    outside.append(data[at:] if depth == 0 else b"")
    return b"".join(outside), b"".join(everything), binary


def _digits(text: bytes) -> bytes:
    return _NOISE.sub(b"", text).translate(None, _NOT_HEX)


def ole1(data: bytes) -> Iterator[Member]:
    """The native data of an OLE 1.0 object (MS-OLEDS 2.2.4 and 2.2.5), and the file in a package."""
    at = 8
    fields = []
    for _ in range(3):
        size = int.from_bytes(data[at : at + 4], "little")
        fields.append(data[at + 4 : at + 4 + size].strip(b"\0"))
        at += 4 + size
        if at > len(data):
            return
    size = int.from_bytes(data[at : at + 4], "little")
    native = data[at + 4 : at + 4 + size]
    if not native:
        return
    yield Member(fields[0].decode("latin-1") or "native", native)
    if fields[0].lower() == b"package":
        yield from native_package(native)
