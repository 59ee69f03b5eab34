"""Documents and envelopes: what is embedded comes out, what is locked or acts by itself is named."""

from __future__ import annotations

import base64
import zlib

import pytest
from tests.support.containers import ZipFile, cms, compound, ole1, package, pdf, tnef, zip_of
from tests.support.eicar import EICAR
from tests.support.unpacking import caught, contents, names, unpack

from gatepost.mail.model import Kind
from gatepost.mail.unpack.ovba import decompress
from gatepost.mail.unpack.tnef import decompress_rtf


def test_a_package_in_a_compound_file_comes_out() -> None:
    native = package(b"setup.exe", EICAR)
    found = unpack(compound({"\x01Ole10Native": len(native).to_bytes(4, "little") + native}))
    assert caught(found)
    assert not found.findings


def test_attachments_of_an_outlook_message_have_their_names() -> None:
    storage = "__attach_version1.0_#00000000"
    streams = {
        f"{storage}/__substg1.0_37010102": zip_of(ZipFile.of(b"setup.exe", EICAR)),
        f"{storage}/__substg1.0_3707001F": "report.zip".encode("utf-16-le"),
    }
    found = unpack(compound({"__properties_version1.0": bytes(32), **streams}), "mail.msg")
    assert found.parts[0].type == "msg"
    assert caught(found)
    assert "1!report.zip" in {part.path for part in found.parts}


@pytest.mark.parametrize("cut", range(0, 9000, 450))
def test_a_compound_file_cut_short_never_raises(cut: int) -> None:
    unpack(compound({"WordDocument": bytes(5000), "Data": EICAR})[:cut])


def test_vba_sources_are_decompressed() -> None:
    source = b'Attribute VB_Name = "Module1"\r\nSub AutoOpen()\r\n\'' + EICAR + b"\r\nEnd Sub\r\n"
    body = b"".join(b"\0" + source[at : at + 8] for at in range(0, len(source), 8))
    packed = b"\x01" + (0xB000 | (len(body) - 1)).to_bytes(2, "little") + body
    assert decompress(packed) == source
    found = unpack(compound({"VBA/Module1": bytes(30) + packed, "WordDocument": bytes(4096)}))
    assert any(EICAR in data for data in contents(found))


def test_an_encrypted_office_file_is_encrypted() -> None:
    found = unpack(compound({"EncryptionInfo": b"\x04\0\x04\0\x40\0\0\0<x/>", "EncryptedPackage": bytes(9000)}), "report.docx")
    assert names(found, Kind.ENCRYPTED) == {"office-encrypted"}
    assert found.parts[0].type == "office-encrypted"


def test_a_template_from_elsewhere_is_suspect() -> None:
    relation = b'<?xml version="1.0"?><Relationships><Relationship Type="http://x/attachedTemplate" Target="http://evil.example/t.dotm" TargetMode="External"/></Relationships>'
    types = ZipFile.of(b"[Content_Types].xml", b"<?xml version='1.0'?><Types/>")
    found = unpack(zip_of(types, ZipFile.of(b"word/_rels/settings.xml.rels", relation)), "a.docx")
    assert names(found, Kind.SUSPECT) == {"office-external-content"}


@pytest.mark.parametrize(("macro", "expected"), [(True, "docm"), (False, "docx")])
def test_a_document_with_a_macro_project_has_its_own_type(*, macro: bool, expected: str) -> None:
    files = [ZipFile.of(b"[Content_Types].xml", b"<Types/>"), ZipFile.of(b"word/document.xml", b"<w/>")]
    files += [ZipFile.of(b"word/vbaProject.bin", b"x")] if macro else []
    assert unpack(zip_of(*files), "harmless.docx").parts[0].type == expected


PDF_STREAMS = {
    "plain": (EICAR, b""),
    "flate": (zlib.compress(EICAR), b"/Filter/FlateDecode"),
    "escaped": (zlib.compress(EICAR), b"/Filter/Fl#61teDecode"),
    "hex": (EICAR.hex().encode() + b">", b"/Filter/ASCIIHexDecode"),
    "85": (base64.a85encode(EICAR) + b"~>", b"/Filter[/ASCII85Decode]"),
    "both": (zlib.compress(EICAR).hex().encode() + b">", b"/Filter [ /ASCIIHexDecode /FlateDecode ]"),
    "runs": (bytes((len(EICAR) - 1,)) + EICAR + b"\x80", b"/Filter/RunLengthDecode"),
}


@pytest.mark.parametrize("form", PDF_STREAMS)
@pytest.mark.parametrize("junk", [b"", b"junk\n" * 150])
def test_a_file_in_a_pdf_without_tables_comes_out(form: str, junk: bytes) -> None:
    stream, filters = PDF_STREAMS[form]
    found = unpack(junk + pdf(stream, b"/Type/EmbeddedFile" + filters), "a.pdf")
    assert caught(found)
    assert not found.findings


def test_a_pdf_that_starts_a_program_or_a_script_is_suspect() -> None:
    assert names(unpack(pdf(b"", catalog=b"/OpenAction<</S/Launch/F(cmd.exe)>>")), Kind.SUSPECT) == {"pdf-launch"}
    assert names(unpack(pdf(b"", catalog=b"/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>")), Kind.SUSPECT) == {"pdf-javascript"}
    assert not unpack(pdf(b"", catalog=b"/AcroForm<</AA<</K<</S/JavaScript/JS(AFNumber)>>>>>>")).findings


def test_an_encrypted_pdf_that_does_not_open_is_encrypted() -> None:
    data = pdf(b"cccc").replace(b"trailer<<", b"trailer<</Encrypt 9 0 R")
    assert names(unpack(data), Kind.ENCRYPTED) == {"pdf-encrypted"}


RTF = b"{\\rtf1\\ansi{\\object\\objemb{\\*\\objdata %s}}}"


@pytest.mark.parametrize("noise", [b"", b"\r\n \t", b"{\\*\\zork}", b"\\zork ", b"\\'20", b"{{}{\\b0}}"])
def test_digits_of_an_rtf_object_may_be_broken_up_by_anything(noise: bytes) -> None:
    digits = ole1(b"Package", package(b"setup.exe", EICAR)).hex().encode()
    found = unpack(RTF % noise.join(digits[at : at + 13] for at in range(0, len(digits), 13)), "letter.doc")
    assert found.parts[0].type == "rtf"
    assert caught(found)


def test_binary_data_in_an_rtf_comes_out() -> None:
    assert caught(unpack(b"{\\rtf1{\\object{\\*\\objdata\\bin%d " % len(EICAR) + EICAR + b"}}}"))


def test_a_winmail_gives_its_attachment() -> None:
    found = unpack(tnef(b"setup.exe", EICAR), "winmail.dat")
    assert [part.path for part in found.parts] == ["1", "1!setup.exe"]
    assert caught(found)


def test_a_winmail_cut_short_is_unchecked() -> None:
    assert names(unpack(tnef(b"setup.exe", EICAR)[:-30]), Kind.UNCHECKED) == {"damaged"}


def test_compressed_rtf_of_the_standard_is_read() -> None:
    """The example of MS-OXRTFCP 4.1.1."""
    example = bytes.fromhex("2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232 0af32068656c090020627705b06c647d0a800fa0")
    assert decompress_rtf(example) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


MAIL = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(EICAR)


@pytest.mark.parametrize("kind", ["signed", "compressed"])
@pytest.mark.parametrize("pieces", [0, 16])
def test_what_is_signed_or_compressed_by_cms_is_read_as_a_mail(kind: str, pieces: int) -> None:
    assert caught(unpack(cms(kind, MAIL, pieces=pieces), "smime.p7m"))


def test_what_only_the_addressee_can_open_is_encrypted() -> None:
    assert names(unpack(cms("enveloped", b"x" * 99)), Kind.ENCRYPTED) == {"cms-encrypted"}
    assert names(unpack(b"-----BEGIN PGP MESSAGE-----\n\nhQEMAw==\n-----END PGP MESSAGE-----\n"), Kind.ENCRYPTED) == {"pgp-encrypted"}


def test_what_stands_between_pem_marks_comes_out() -> None:
    assert caught(unpack(b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(EICAR) + b"-----END CERTIFICATE-----\n", "server.crt"))


def test_a_file_in_a_onenote_section_comes_out() -> None:
    store = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + len(EICAR).to_bytes(8, "little") + bytes(12) + EICAR
    assert caught(unpack(bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(500) + store, "notes.one"))
