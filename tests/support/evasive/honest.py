"""Honest mails that look like evasions: all of them must pass."""

from __future__ import annotations

import base64
import gzip
import lzma
import zlib

import zstandard

from tests.support.containers import compound, pdf, tnef
from tests.support.evasive.craft import BASE64, Case, Cases, archived, attached, b64, letter, mail, multipart, named, nest, part, qp, zipped
from tests.support.evasive.files import PNG, docx, msg, onenote, pax, relation, rtf, tarred
from tests.support.evasive.formats import binhex, cabinet, lz4, rar5, skippable

HELLO = b"Dear Lee,\r\n\r\nsee you on Monday.\r\n\r\nPat\r\n"
WORDS = b"All work and no play makes a dull day.\r\n" * 60


def _attach(cases: Cases, name: str, data: bytes, file: str, kind: bytes = b"application/octet-stream", text: bytes = HELLO) -> None:
    cases.add(name, attached(data, file, b"Content-Type: " + kind, letter(text)))


def containers() -> Cases:
    cases = Cases()
    add = lambda *given, **more: _attach(cases, *given, **more)  # noqa: E731
    add(
        "a ZIP and talk of passwords", zipped(("a.txt", WORDS)), "a.zip", text=b"Never send your password by mail. The PIN is not 1234.\r\n"
    )
    add("a 7z", archived("7zip", ("a.txt", WORDS)), "a.7z")
    add("an ISO image with a text", archived("iso9660", ("a.txt", WORDS)), "a.iso")
    add("a tar with a pax name", pax("Gr\u00fc\u00dfe aus K\u00f6ln/notes.txt", "notes.txt", WORDS), "a.tar")
    add(
        "a tar.xz in a deb",
        archived("ar_bsd", ("debian-binary", b"2.0\n"), ("data.tar.xz", lzma.compress(tarred(("usr/share/doc/a.txt", WORDS))))),
        "a.deb",
    )
    add("a cpio", archived("cpio", ("a.txt", WORDS)), "a.cpio")
    add("a zstd log", zstandard.compress(WORDS), "a.log.zst")
    add("a gzip of several members", gzip.compress(WORDS) + gzip.compress(WORDS), "a.log.gz")
    add("five ZIPs in each other", nest(5, WORDS, lambda data: zipped(("a.zip", data))), "a.zip")
    add(
        "an ePub",
        zipped(("mimetype", b"application/epub+zip"), ("OEBPS/a.xhtml", b"<html><body><p>hello</p></body></html>")),
        "a.epub",
        b"application/epub+zip",
    )
    add("a self-made shell script", b"#!/bin/sh\nset -e\necho hello | gzip -c > a.gz\n", "a.sh", b"text/x-sh")
    add(
        "a Python program",
        b"#!/usr/bin/env python3\nimport base64\nprint(base64.b64decode('aGVsbG8gd29ybGQsIHRoaXMgaXMgaGFybWxlc3MgdGV4dA=='))\n",
        "a.py",
        b"text/x-python",
    )
    add(
        "a picture with a long text in it",
        PNG[:33] + (2000).to_bytes(4, "big") + b"tEXtComment\0" + b"a" * 1988 + bytes(4) + PNG[33:],
        "a.png",
        b"image/png",
    )
    add("a RAR 5 with a text", rar5(b"a.txt", WORDS), "a.rar")
    add("a cabinet with a text", cabinet(b"a.txt", WORDS), "a.cab")
    add("a compound file with a cabinet of texts", compound({"Data": cabinet(b"a.txt", WORDS)}), "a.bin")
    add("a ZIP with two copies of a ZIP", zipped(("a.zip", zipped(("a.txt", WORDS))), ("b/a.zip", zipped(("a.txt", WORDS)))), "a.zip")
    cases.add(
        "a gzip in an encoding that is not known",
        mail(b"Content-Type: text/plain; name=a.txt", b"Content-Transfer-Encoding: x-gzip64", body=b64(gzip.compress(WORDS))),
    )
    add("a OneNote package", cabinet(b"notes.one", onenote(PNG)), "notes.onepkg")
    add("a Zstandard log behind a frame that says nothing", skippable(b"log 1") + zstandard.compress(WORDS), "a.log.zst")
    add("an LZ4 log", lz4(WORDS), "a.log.lz4")
    add("a text in BinHex", binhex(b"a.txt", WORDS), "a.hqx", b"application/mac-binhex40")
    add("a text whose name ends like Brotli", WORDS, "www.example.com.br", b"text/plain")
    add("a picture from Brazil", PNG, "logo.com.br", b"image/png")
    add("octets at random", bytes((n * n * 31 + n // 7) & 255 for n in range(60_000)), "a.dat")
    return cases


def documents() -> Cases:
    cases = Cases()
    add = lambda *given, **more: _attach(cases, *given, **more)  # noqa: E731
    add(
        "a DOCX with a link to a web page", docx(("word/_rels/document.xml.rels", relation(b"hyperlink", b"http://example.net/"))), "a.docx"
    )
    add("a DOCX with a linked picture", docx(("word/_rels/document.xml.rels", relation(b"image", b"http://example.net/a.png"))), "a.docx")
    add(
        "an XLSX that refers to another workbook",
        docx(("xl/externalLinks/_rels/externalLink1.xml.rels", relation(b"externalLinkPath", b"prices.xlsx")), folder="xl"),
        "a.xlsx",
    )
    add("a DOCX with a picture", docx(("word/media/image1.png", PNG)), "a.docx")
    add("an RTF with a text file", rtf(WORDS, b"notes.txt"), "a.rtf", b"application/rtf")
    add("an Outlook message with a letter in it", msg(attached(WORDS, "a.txt"), "a.eml"), "a.msg", b"application/vnd.ms-outlook")
    add("a OneNote section with a picture", onenote(PNG), "a.one")
    add(
        "a PDF with an invoice in XML",
        pdf(b'<?xml version="1.0"?><rsm:CrossIndustryInvoice xmlns:rsm="x"><a>1</a></rsm:CrossIndustryInvoice>'),
        "a.pdf",
        b"application/pdf",
    )
    add(
        "a PDF with an invoice behind two filters, written elsewhere",
        pdf(base64.a85encode(zlib.compress(WORDS)) + b"~>", b"/Type/EmbeddedFile/Filter 9 0 R")
        + b"\n9 0 obj[/ASCII85Decode/FlateDecode]endobj\n",
        "a.pdf",
        b"application/pdf",
    )
    add(
        "a PDF with a link",
        pdf(b"", b"/X 1", b"/Annots[<</Subtype/Link/A<</S/URI/URI(http://example.net/)>>>>]"),
        "a.pdf",
        b"application/pdf",
    )
    add("a winmail.dat with a letter", tnef(b"letter.eml", attached(WORDS, "a.txt")), "winmail.dat", b"application/ms-tnef")
    add(
        "a calendar with an attached PDF",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nATTACH;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=a.pdf:"
        + b64(pdf(b"hello", b"/X 1"), 60, b"\r\n ")
        + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        "a.ics",
        b"text/calendar",
    )
    add(
        "a card with a photo",
        b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Pat\r\nPHOTO;ENCODING=b;TYPE=PNG:" + b64(PNG, 60, b"\r\n ") + b"\r\nEND:VCARD\r\n",
        "a.vcf",
        b"text/vcard",
    )
    add(
        "a public key",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n\r\n"
        + b64(bytes(range(256)) * 3, 64)
        + b"=abcd\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n",
        "key.asc",
        b"application/pgp-keys",
    )
    add(
        "a certificate",
        b"-----BEGIN CERTIFICATE-----\r\n" + b64(b"\x30\x82\x03\0" + bytes(range(256)) * 3, 64) + b"-----END CERTIFICATE-----\r\n",
        "a.crt",
    )
    add(
        "a dump of bytes",
        b"\r\n".join(b"%08x  %s" % (n * 16, bytes(range(16)).hex(" ").encode()) for n in range(40)),
        "dump.txt",
        b"text/plain",
    )
    add("a table in UTF-16", "Name;Betrag\r\nM\u00fcller;12,50\r\n".encode("utf-16") * 1, "a.csv", b"text/csv")
    add("a JSON with a picture", b'{"name": "logo", "data": "' + base64.b64encode(PNG) + b'"}', "a.json", b"application/json")
    add("a company's domain as a file name", WORDS, "invoice www.example.com.txt", b"text/plain")
    return cases


def pages() -> Cases:
    cases = Cases()
    html = b"Content-Type: text/html; charset=utf-8"
    add = cases.add
    add(
        "a newsletter with a data: picture and a style",
        mail(
            html,
            body=b"<html><style>a{background:url(data:image/png;base64,"
            + base64.b64encode(PNG)
            + b")}</style><p>News &amp; more</p></html>",
        ),
    )
    add(
        "a page with an inline SVG logo",
        mail(html, body=b'<html><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9v9z"/></svg><p>hello</p></html>'),
    )
    add(
        "a page with a script that counts visits",
        mail(
            html,
            body=b"<html><script>(function(){var i=new Image();i.src='http://example.net/c?u='+encodeURIComponent(document.title)})();</script><p>hello</p></html>",
        ),
    )
    add(
        "a saved page with a library",
        attached(
            b"<html><script>!function(e){var t=String.fromCharCode,n=decodeURIComponent;e.q=function(s){return n(s.replace(/\\+/g,' '))};e.x=t(65)}(window);</script><p>hello</p></html>",
            "a.html",
            b"Content-Type: text/html",
        ),
    )
    add(
        "a page with entities for all of its text",
        mail(html, body=b"<p>" + b"".join(b"&#%d;" % byte for byte in b"See you on Monday, and bring the atob() slides.") + b"</p>"),
    )
    add(
        "a page that leads to the web after a while, with a data: picture",
        mail(
            html,
            body=b'<html><head><meta http-equiv="refresh" content="5; url=http://example.net/?a=data:1"><meta name="x" content="data:image/png">'
            b'</head><img alt="our logo" src="data:image/png;base64,' + base64.b64encode(PNG) + b'"></html>',
        ),
    )
    add(
        "a letter that explains a refresh to a data: link",
        mail(
            html,
            body=b"<p>Never trust &lt;meta http-equiv=&quot;refresh&quot; content=&quot;0;url=data:text/html,x&quot;&gt; in a mail.</p>",
        ),
    )
    add("a page with a frame", mail(html, body=b'<html><iframe srcdoc="&lt;p&gt;hello&lt;/p&gt;"></iframe></html>'))
    add(
        "a letter about scripts",
        mail(
            b"Content-Type: text/plain",
            body=b"Just use new Blob([a]) and URL.createObjectURL, then link.download = 'x'. Do not use atob().\r\n",
        ),
    )
    add("a letter with a hash", mail(b"Content-Type: text/plain", body=b"SHA-512: " + b"0123456789abcdef" * 8 + b"\r\n"))
    return cases


def structure() -> Cases:
    cases = Cases()
    add = cases.add
    mixed = b"Content-Type: multipart/mixed; boundary=frontier"
    file = part(b64(WORDS), b"Content-Type: text/plain; name=a.txt", named("a.txt"), BASE64)
    add(
        "a letter in Japanese",
        mail(b"Content-Type: text/plain; charset=iso-2022-jp", body="\u3053\u3093\u306b\u3061\u306f\r\n".encode("iso-2022-jp") * 20),
    )
    add("a letter in UTF-7", mail(b"Content-Type: text/plain; charset=utf-7", body="Gr\u00fc\u00dfe aus K\u00f6ln\r\n".encode("utf-7")))
    add("a letter in UTF-16", mail(b"Content-Type: text/plain; charset=utf-16", BASE64, body=b64("Gr\u00fc\u00dfe\r\n".encode("utf-16"))))
    add(
        "a letter in KOI8-R",
        mail(
            b"Content-Type: text/plain; charset=koi8-r",
            b"Content-Transfer-Encoding: 8bit",
            body="\u041f\u0440\u0438\u0432\u0435\u0442\r\n".encode("koi8-r") * 9,
        ),
    )
    add(
        "a boundary with blanks",
        mail(b'Content-Type: multipart/mixed; boundary="== a b c =="', body=multipart(letter(HELLO), file, boundary=b"== a b c ==")),
    )
    add(
        "a boundary that begins with another",
        mail(
            mixed,
            body=multipart(
                letter(HELLO), part(multipart(file, boundary=b"frontier2"), b"Content-Type: multipart/mixed; boundary=frontier2")
            ),
        ),
    )
    add(
        "12 forwarded letters in each other",
        nest(12, mail(mixed, body=multipart(letter(HELLO), file)), lambda data: mail(b"Content-Type: message/rfc822", body=data)),
    )
    add(
        "a digest",
        mail(
            b"Content-Type: multipart/digest; boundary=frontier",
            body=multipart(*(b"\r\n" + mail(b"Content-Type: text/plain", body=HELLO) for _ in range(5))),
        ),
    )
    add(
        "a mailbox as a file",
        attached(b"".join(b"From - Mon Jan  1 10:00:00 2024\r\n" + mail(body=HELLO) + b"\r\n" for _ in range(5)), "Inbox"),
    )
    add(
        "a receipt",
        mail(
            b"Content-Type: multipart/report; report-type=disposition-notification; boundary=frontier",
            body=multipart(
                letter(HELLO),
                part(
                    b"Final-Recipient: rfc822;lee@example.org\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n",
                    b"Content-Type: message/disposition-notification",
                ),
            ),
        ),
    )
    add(
        "a forwarded letter cut off in its base64",
        mail(
            mixed,
            body=multipart(
                letter(HELLO), part(attached(WORDS, "a.txt").replace(b"frontier", b"inner")[:2000], b"Content-Type: message/rfc822")
            ),
        ),
    )
    add(
        "a long name in pieces",
        mail(
            mixed,
            body=multipart(
                part(
                    b64(WORDS),
                    b"Content-Type: text/plain",
                    b'Content-Disposition: attachment;\r\n filename*0*=utf-8\'\'Pr%C3%BCfbericht%20;\r\n filename*1="2024 Endfassung";\r\n filename*2=".txt"',
                    BASE64,
                )
            ),
        ),
    )
    add(
        "quoted-printable with stray equals signs",
        mail(
            b"Content-Type: text/plain",
            b"Content-Transfer-Encoding: quoted-printable",
            body=b"a=b and c == d, http://x/?q=zz\r\n" + qp(b"hello"),
        ),
    )
    add(
        "a diff of a mail",
        attached(
            b"--- a/mail.eml\n+++ b/mail.eml\n@@ -1,3 +1,3 @@\n-Content-Type: text/plain\n+Content-Type: multipart/mixed; boundary=x\n \n --x\n+Content-Transfer-Encoding: base64\n",
            "a.patch",
            b"Content-Type: text/x-patch",
        ),
    )
    add(
        "Apple's double file",
        mail(
            b"Content-Type: multipart/appledouble; boundary=frontier",
            body=multipart(
                part(b64(b"\0\x05\x16\x07\0\x02\0\0" + bytes(60)), b"Content-Type: application/applefile; name=a.txt", BASE64), file
            ),
        ),
    )
    return cases


def cases() -> list[Case]:
    return [*containers(), *documents(), *pages(), *structure()]
