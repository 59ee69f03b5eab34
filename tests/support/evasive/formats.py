"""Evasion by formats that few writers make: cabinets in installers, RAR 5, BinHex, frames that say nothing, chains of PDF filters."""

from __future__ import annotations

import base64
import itertools
import struct
import zlib

import zstandard

from tests.support.containers import compound, pdf
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
    named,
    part,
    zip_locked,
    zipped,
)
from tests.support.evasive.files import PNG, onenote
from tests.support.evasive.quine import quine

_HEX_LETTERS = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_MSI_CLASS = bytes.fromhex("84100c0000000000c000000000000046")


def cabinet(name: bytes, data: bytes) -> bytes:
    """A cabinet with one file that is not compressed (MS-CAB 2)."""
    at = 44 + 16 + len(name) + 1
    head = b"MSCF" + struct.pack("<5IBBHHHHH", 0, at + 8 + len(data), 0, 44, 0, 3, 1, 1, 1, 0, 0, 0)
    file = struct.pack("<IIHHHH", len(data), 0, 0, 0x5A21, 0, 0x20) + name + b"\0"
    return head + struct.pack("<IHH", at, 1, 0) + file + struct.pack("<IHH", 0, len(data), len(data)) + data


def installer(streams: dict[str, bytes]) -> bytes:
    """A compound file that says it is a package of Windows Installer."""
    whole = compound(streams)
    root = whole.index("Root Entry".encode("utf-16-le"))
    return whole[: root + 80] + _MSI_CLASS + whole[root + 96 :]


def rar5(name: bytes, data: bytes) -> bytes:
    """A RAR 5 archive with one stored file (RAR 5.0 technote)."""

    def number(value: int) -> bytes:
        return bytes((value,)) if value < 128 else bytes((value & 127 | 128,)) + number(value >> 7)

    def header(body: bytes) -> bytes:
        sized = number(len(body)) + body
        return struct.pack("<I", zlib.crc32(sized)) + sized

    file = b"\2\2" + number(len(data)) + b"\4" + number(len(data)) + b"\x20" + struct.pack("<I", zlib.crc32(data)) + b"\0\0"
    return b"Rar!\x1a\x07\x01\0" + header(b"\1\0\0") + header(file + number(len(name)) + name) + data + header(b"\5\0\0")


def binhex(name: bytes, data: bytes) -> bytes:
    """A file in BinHex 4.0 without its check sums (RFC 1741)."""
    plain = bytes((len(name),)) + name + b"\0TEXTttxt\0\0" + struct.pack(">IIH", len(data), 0, 0) + data + bytes(4)
    escaped = plain.replace(b"\x90", b"\x90\0")
    bits = int.from_bytes(escaped + bytes(-len(escaped) % 3), "big")
    count = -(-len(escaped) // 3) * 4
    letters = b":" + bytes(_HEX_LETTERS[bits >> 6 * n & 63] for n in reversed(range(count))) + b":"
    lines = b"\r\n".join(letters[at : at + 64] for at in range(0, len(letters), 64))
    return b"(This file must be converted with BinHex 4.0)\r\n\r\n" + lines + b"\r\n"


def skippable(data: bytes, number: int = 0) -> bytes:
    """A frame that decoders of Zstandard and LZ4 pass over (RFC 8878 3.1.2)."""
    return struct.pack("<II", 0x184D2A50 + number, len(data)) + data


def lz4(data: bytes) -> bytes:
    """An LZ4 file."""
    return archived("raw", ("data", data), packed="lz4")


def _run_length(data: bytes) -> bytes:
    pieces = (data[at : at + 100] for at in range(0, len(data), 100))
    return b"".join(bytes((len(piece) - 1,)) + piece for piece in pieces) + b"\x80"


def _lzw(data: bytes) -> bytes:
    """LZW of codes of nine bits: the table is cleared before a tenth is needed."""
    codes = [code for at in range(0, len(data), 200) for code in (256, *data[at : at + 200])] + [257]
    bits = "".join(f"{code:09b}" for code in codes)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def containers() -> Cases:
    """Archives and streams."""
    cases = Cases()
    add = cases.add
    packed = zstandard.compress(PAYLOAD)
    add("RAR 5, stored", attached(rar5(b"data.bin", EICAR), "report.rar"))
    add("RAR 5 behind a picture", attached(PNG + rar5(b"data.bin", EICAR), "photo.png", b"Content-Type: image/png"))
    add("RAR 5 behind a program, in a ZIP", attached(zipped(("setup.dat", b"MZ" + bytes(3000) + rar5(b"data.bin", EICAR))), "a.zip"))
    add("RAR 5 behind 900 KB of zeros", attached(b"\1" + bytes(900_000) + rar5(b"data.bin", EICAR), "a.dat"))
    add("ZIP in a RAR 5 in a cabinet", attached(cabinet(b"a.rar", rar5(b"a.zip", PAYLOAD)), "a.cab"))
    add("cabinet in an installer", attached(installer({"Media1.cab": cabinet(b"data.bin", EICAR)}), "report.dat"))
    add(
        "ZIP in a cabinet in an installer, stream named as Windows Installer does",
        attached(installer({"\u4840\u3f7f": cabinet(b"a.zip", PAYLOAD)}), "a.bin"),
    )
    add("cabinet in a compound file in a ZIP", attached(zipped(("a.bin", compound({"Data": cabinet(b"a.zip", PAYLOAD)}))), "a.zip"))
    add("OneNote in a cabinet, as OneNote exports it", attached(cabinet(b"notes.one", onenote(PAYLOAD)), "notes.onepkg"))
    add("OneNote called PDF", attached(onenote(PAYLOAD), "notes.pdf", b"Content-Type: application/pdf"))
    add(
        "OneNote whose file says that it is empty",
        attached(onenote(PAYLOAD).replace(len(PAYLOAD).to_bytes(8, "little"), bytes(8)), "notes.one"),
    )
    add(
        "OneNote in a page's data: link",
        attached(b'<html><a href="data:application/onenote;base64,' + base64.b64encode(onenote(PAYLOAD)) + b'">notes</a></html>', "a.html"),
    )
    add("LZ4", attached(lz4(PAYLOAD), "report.lz4"))
    add("LZ4 in Zstandard", attached(zstandard.compress(lz4(PAYLOAD)), "report.zst"))
    add("Zstandard behind a frame that says nothing", attached(skippable(b"nothing") + packed, "report.zst"))
    add(
        "Zstandard behind three such frames",
        attached(skippable(b"", 15) + skippable(b"x" * 5000, 7) + skippable(b"") + packed, "report.zst"),
    )
    add("LZ4 behind a frame that says nothing", attached(skippable(b"nothing", 3) + lz4(PAYLOAD), "report.lz4"))
    add("ZIP in a frame that says nothing", attached(zstandard.compress(b"nothing") + skippable(PAYLOAD), "report.zst"))
    add("Zstandard behind a picture of Zstandard", attached(zstandard.compress(b"one") + packed, "report.zst"))
    add("ZIP that holds itself", attached(quine(), "a.zip"), seen=False)
    add("ZIP that holds itself in a ZIP", attached(zipped(("a.zip", quine()), ("b.zip", quine())), "a.zip"), seen=False)
    add("Brotli", attached(bytes.fromhex("0b2180") + bytes(range(128, 190)) + b"\3", "page.html.br"), seen=False)
    add(
        "Brotli in a tar",
        attached(archived("gnutar", ("setup.br", bytes.fromhex("0b2180") + bytes(range(128, 190)) + b"\3")), "a.tar"),
        seen=False,
    )
    return cases


def encoded() -> Cases:
    """BinHex in all its places."""
    cases = Cases()
    add = cases.add
    kind = b"Content-Type: application/mac-binhex40"
    add("BinHex as a file", attached(binhex(b"data.bin", PAYLOAD), "report.hqx", kind))
    add(
        "BinHex as a part without an encoding",
        mail(
            b"Content-Type: multipart/mixed; boundary=frontier",
            body=multipart(letter(b"See.\r\n"), part(binhex(b"a.zip", PAYLOAD), kind, named("a.hqx"))),
        ),
    )
    add(
        "BinHex in the letter", mail(b"Content-Type: text/plain", body=b"Dear Lee,\r\n\r\n" + binhex(b"data.bin", PAYLOAD) + b"\r\nPat\r\n")
    )
    add("BinHex in a ZIP", attached(zipped(("a.hqx", binhex(b"a.zip", PAYLOAD))), "a.zip"))
    add(
        "BinHex named by the encoding",
        mail(b"Content-Type: application/zip; name=a.zip", b"Content-Transfer-Encoding: x-binhex40", body=binhex(b"a.zip", PAYLOAD)),
    )
    add(
        "BinHex in uuencode in base64",
        attached(
            b"begin 644 a.hqx\r\n" + b"".join(_uu_line(line) for line in _pieces(binhex(b"a.zip", PAYLOAD))) + b"`\r\nend\r\n", "a.txt"
        ),
    )
    return cases


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + 45] for at in range(0, len(data), 45)]


def _uu_line(data: bytes) -> bytes:
    bits = data + bytes(-len(data) % 3)
    number = int.from_bytes(bits, "big")
    return bytes((32 + len(data),)) + bytes(32 + (number >> 6 * n & 63) for n in reversed(range(len(bits) // 3 * 4))) + b"\r\n"


def pdfs() -> Cases:
    """A file in a PDF behind several filters, or behind filters that are written elsewhere."""
    cases = Cases()
    kind = b"/Type/EmbeddedFile"
    flate = zlib.compress(PAYLOAD)
    text = base64.a85encode(_run_length(_lzw(flate))) + b"~>"
    chain = b"/Filter[/A85/RL/LZW/Fl]"
    other = b"\n9 0 obj/FlateDecode endobj\n"
    rows = {
        "four filters in a row": pdf(text, kind + chain),
        "the same filter twice": pdf(zlib.compress(flate), kind + b"/Filter[/FlateDecode/FlateDecode]"),
        "filter with an escaped name": pdf(flate, kind + b"/Filter/#46late#44ecode"),
        "filter in another object": pdf(flate, kind + b"/Filter 9 0 R") + other,
        "filters in another object, as a list": pdf(zlib.compress(flate), kind + b"/Filter 9 0 R") + b"\n9 0 obj[/FlateDecode/Fl]endobj\n",
        "one of two filters in another object": pdf(zlib.compress(flate), kind + b"/Filter[9 0 R/FlateDecode]") + other,
        "filter in an object stream": pdf(flate, kind + b"/Filter 9 0 R")
        + b"\n7 0 obj<</Type/ObjStm/N 2/First 9/Length 31>>stream\n9 0 10 13/FlateDecode <</A/B>>\nendstream endobj\n",
        "filter behind a comment": pdf(flate, kind + b"/Filter%x\n/FlateDecode"),
        "filter that encrypts with nothing": pdf(flate, kind + b"/Filter[/Crypt/FlateDecode]/DecodeParms[<</Name/Identity>>null]"),
    }
    for name, data in rows.items():
        cases.add(f"PDF: {name}", attached(data, "report.pdf", b"Content-Type: application/pdf"))
    predicted = b"".join(b"\2" + bytes((now - before) & 255 for now, before in zip(row, last, strict=True)) for last, row in _rows(PAYLOAD))
    parameters = kind + b"/Filter/FlateDecode/DecodeParms 9 0 R"
    cases.add(
        "PDF: file stored as a picture, which another object says",
        attached(pdf(zlib.compress(predicted), parameters) + b"\n9 0 obj<</Predictor 12/Columns 8>>endobj\n", "report.pdf"),
        seen=False,
    )
    return cases


def _rows(data: bytes) -> list[tuple[bytes, bytes]]:
    """Rows of eight bytes, each with the one above it."""
    rows = [bytes(8), *(data[at : at + 8].ljust(8, b"\0") for at in range(0, len(data), 8))]
    return list(itertools.pairwise(rows))


def pages() -> Cases:
    """Passwords and pages that only a picture or a browser shows."""
    cases = Cases()
    locked = zip_locked(b"data.bin", EICAR, b"Zork-77")
    html = b"Content-Type: text/html; charset=utf-8"
    says = {
        "a picture's text": b'<p>See the picture.</p><img src="cid:1" alt="The password is Zork-77">',
        "a picture's text, alone and in single quotes": b"<p>Hello</p><img alt='Zork-77' src=\"cid:1\">",
        "a title": b'<p title="password: Zork-77">Hello</p>',
        "a label for the blind": b"<p aria-label='Password: Zork-77'>Hello</p>",
    }
    for name, text in says.items():
        file = part(b64(locked), b"Content-Type: application/zip", named("a.zip"), b"Content-Transfer-Encoding: base64")
        body = multipart(part(b"<html><body>" + text + b"</body></html>\r\n", html), file)
        cases.add(f"encrypted ZIP, password in {name}", mail(b"Content-Type: multipart/mixed; boundary=frontier", body=body))
    target = b"data:text/html;base64," + base64.b64encode(b"<html><script>location='http://example.net/'</script></html>")
    refreshes = {
        "a refresh": b'<meta http-equiv="refresh" content="0;url=' + target + b'">',
        "a refresh whose target stands first": b"<meta content=\"0; URL='" + target + b"'\" http-equiv=refresh>",
        "a refresh without its word url": b"<meta http-equiv='REFRESH' content='0;" + target + b"'>",
    }
    for name, text in refreshes.items():
        cases.add(
            f"page led to a data: link by {name}",
            attached(b"<html><head>" + text + b"</head></html>", "a.html", b"Content-Type: text/html"),
            seen=False,
        )
    return cases


def cases() -> list[Case]:
    return [*containers(), *encoded(), *pdfs(), *pages()]
