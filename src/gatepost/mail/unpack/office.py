"""Office documents: compound files (doc, xls, ppt, msg, msi), their embedded objects, VBA sources and encryption.

What it does: yields every stream that a user could open, unwraps OLE packages, names Outlook attachments, decrypts with known passwords.
Not its job: judging macros (an engine does); OOXML files are ZIP archives, here only their outward links are judged.
Raises: `BudgetError`.
"""

from __future__ import annotations

import html
import io
import re
import struct
from collections.abc import Iterator
from importlib import import_module

from gatepost.mail.model import Kind
from gatepost.mail.unpack.compound import Compound, Stream
from gatepost.mail.unpack.decompress import inflate
from gatepost.mail.unpack.opened import Member, Opened, UnpackError
from gatepost.mail.unpack.ovba import decompress, module_offsets, sources
from gatepost.mail.unpack.wide import narrow
from gatepost.system.foreign import attempt

_DEFAULT_PASSWORDS = ("VelvetSweatshop", "/01Hannes Ruescher/01")
_DULL = re.compile(
    r"(?:^|/)(?:\x05(?:Document)?SummaryInformation|\x01CompObj|\x03ObjInfo|\x01Ole|\x03LinkInfo|__nameid_version1\.0/.*|__properties_version1\.0)$"
)
_ATTACHED = re.compile(r"(__attach_version1\.0_#[0-9A-Fa-f]{8})/__substg1\.0_37010102$")
_ATTACHED_NAME = re.compile(r"(__attach_version1\.0_#[0-9A-Fa-f]{8})/__substg1\.0_(3707|3704|3001)00(1E|1F)$")
_PASSWORDS_MOST = 10  # one try takes about 0.2 s of processor time, by design (MS-OFFCRYPTO 2.3.4.11)
_COMPRESSED_OBJECT = re.compile(rb"\x10\x00\x11\x10.{8}(?=\x78)", re.DOTALL)
_LEGACY_ENCRYPTED = 0x0100
_BIFF_FILEPASS, _BIFF_EOF = 0x2F, 0x0A


def read_compound(opened: Opened) -> Iterator[Member]:
    """Every stream of a compound file, and what is wrapped in it."""
    compound = Compound(opened.body, lambda: opened.budget.time(opened.part.path), opened.meter.spend)
    streams = list(compound.streams())
    by_path = {stream.path: stream for stream in streams}
    names = _attachment_names(streams)
    if any(not stream.whole for stream in streams):
        opened.find(Kind.UNCHECKED, "damaged", "a stream of the compound file is cut off")
    yield from _vba(streams)
    yield from _decrypted(opened, by_path)
    for stream in streams:
        attached = _ATTACHED.search(stream.path)
        if attached:
            yield Member(names.get(attached[1], "attachment"), stream.data)
        elif not _DULL.search(stream.path) and stream.data:
            yield Member(_msi_name(stream.path), stream.data)
        yield from _package(stream)
        if stream.path.endswith("PowerPoint Document"):
            yield from _slides_objects(opened, stream.data)


def _attachment_names(streams: list[Stream]) -> dict[str, str]:
    """The names of the attachments of an Outlook message, by storage; the long name is the better one (MS-OXMSG 2.2.2)."""
    found: dict[str, tuple[str, str]] = {}
    for stream in streams:
        match = _ATTACHED_NAME.search(stream.path)
        if match:
            text = stream.data.decode("utf-16-le" if match[3] == "1F" else "cp1252", "replace").strip("\0")
            found[match[1]] = max(found.get(match[1], ("", "")), (match[2], text))
    return {storage: name for storage, (_, name) in found.items()}


def _msi_name(path: str) -> str:
    """Names of MSI streams pack two characters of a set of 64 into each of U+3800 to U+4840."""
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
    out = ""
    for character in path:
        code = ord(character) - 0x3800
        if 0 <= code < 0x1000:  # noqa: PLR2004 - 64 by 64
            out += letters[code & 63] + letters[code >> 6]
        elif 0x1000 <= code < 0x1040:  # noqa: PLR2004
            out += letters[code - 0x1000]
        else:
            out += character
    return out


def _package(stream: Stream) -> Iterator[Member]:
    if stream.path.endswith("\x01Ole10Native"):
        yield from native_package(stream.data[4:])


def _slides_objects(opened: Opened, data: bytes) -> Iterator[Member]:
    """Compressed objects in a PowerPoint file (ExOleObjStgCompressedAtom, MS-PPT 2.10.36)."""
    for number, match in enumerate(_COMPRESSED_OBJECT.finditer(data), 1):
        gathered = opened.gather(inflate(memoryview(data)[match.end() :], 15))
        if gathered.data:
            yield Member(f"object{number}", gathered.data)


def native_package(data: bytes) -> Iterator[Member]:
    """The file inside an OLE 1.0 package (the Ole10Native stream after its length)."""
    at = 2 if data[:2] == b"\x02\x00" else 0
    fields = []
    for _ in range(2):
        stop = data.find(b"\0", at)
        if stop < 0:
            return
        fields.append(data[at:stop])
        at = stop + 1
    at += 4
    if at + 4 > len(data):
        return
    at += 4 + int.from_bytes(data[at : at + 4], "little")
    size = int.from_bytes(data[at : at + 4], "little")
    body = data[at + 4 : at + 4 + size]
    if body:
        yield Member(fields[0].decode("utf-8", "replace") or "package", body, names=(fields[1].decode("utf-8", "replace"),))


def _vba(streams: list[Stream]) -> Iterator[Member]:
    """The sources of all VBA modules."""
    offsets: tuple[int, ...] = ()
    for stream in streams:
        if stream.path.rpartition("/")[2].lower() == "dir":
            try:
                offsets += module_offsets(decompress(stream.data))
            except UnpackError:
                continue
    for stream in streams:
        if "VBA" in stream.path or b"\x00Attribut" in stream.data:
            for text in sources(stream.data, offsets):
                yield Member(f"{stream.path}.bas", text)


def _decrypted(opened: Opened, streams: dict[str, Stream]) -> Iterator[Member]:
    """The document behind a password; ENCRYPTED when none fits."""
    if not _is_encrypted(streams):
        return
    office = import_module("msoffcrypto")
    for password in (*_DEFAULT_PASSWORDS, *opened.passwords[:_PASSWORDS_MOST]):
        opened.budget.time(opened.part.path)
        plain = attempt(_unlock, office, opened, password)
        if isinstance(plain, bytes):
            opened.meter.spend(len(plain))
            yield Member("decrypted", plain, "password" if password not in _DEFAULT_PASSWORDS else "")
            return
    opened.find(Kind.ENCRYPTED, "office-encrypted", "the document is encrypted and no password in the mail opens it")


def _unlock(office: object, opened: Opened, password: str) -> bytes:
    document = office.OfficeFile(io.BytesIO(opened.body))  # type: ignore[attr-defined]
    document.load_key(password=password, verify_password=True)
    out = io.BytesIO()
    document.decrypt(out)
    return out.getvalue()


def _is_encrypted(streams: dict[str, Stream]) -> bool:
    if "EncryptedPackage" in streams or "EncryptedSummary" in streams:
        return True
    word = streams.get("WordDocument")
    if word and len(word.data) > 12 and struct.unpack_from("<H", word.data, 10)[0] & _LEGACY_ENCRYPTED:  # noqa: PLR2004 - MS-DOC 2.5.2
        return True
    book = streams.get("Workbook") or streams.get("Book")
    return bool(book and _biff_encrypted(book.data))


def _biff_encrypted(data: bytes) -> bool:
    """Whether a FilePass record stands in the globals of a workbook (MS-XLS 2.4.117)."""
    at = 0
    for _ in range(200):
        if at + 4 > len(data):
            return False
        kind, size = struct.unpack_from("<HH", data, at)
        if kind == _BIFF_FILEPASS:
            return True
        if kind == _BIFF_EOF:
            return False
        at += 4 + size
    return False


_RELATION = re.compile(rb"<Relationship\b[^>]*>", re.IGNORECASE)
_DANGEROUS_RELATION = re.compile(rb"/(attachedTemplate|oleObject|frame|subDocument|externalLinkPath|aFChunk)[\"']", re.IGNORECASE)
_ENTITY = re.compile(rb"<!ENTITY\s", re.IGNORECASE)


def inspect_ooxml_part(opened: Opened) -> Iterator[Member]:
    """XML of a document: links that fetch code from elsewhere when it is opened, and entity declarations, which OPC forbids (ECMA-376-2 8.1.4)."""
    data = narrow(bytes(opened.body))
    for relation in (html.unescape(text.decode("latin-1")).encode("latin-1", "replace") for text in _RELATION.findall(data)):
        if (
            b"External" in relation
            and (found := _DANGEROUS_RELATION.search(relation))
            and found[1].lower() in {b"attachedtemplate", b"oleobject", b"frame", b"subdocument"}
        ):
            opened.find(
                Kind.SUSPECT, "office-external-content", f"the document loads a {found[1].decode()} from elsewhere when it is opened"
            )
    if len(_ENTITY.findall(data[: 1 << 20])) > 1 and b"<!DOCTYPE" in data[:4096]:
        opened.find(Kind.SUSPECT, "xml-entities", "the XML declares entities, which can grow without bound")
    yield from ()
