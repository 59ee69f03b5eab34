"""Evasion by MIME: two quirks at once, encodings in each other, charsets that hide, delimiters that mislead."""

from __future__ import annotations

import base64
import binascii

from tests.support.eicar import EICAR
from tests.support.evasive.craft import (
    BASE64,
    OCTETS,
    PAYLOAD,
    TEXT,
    Case,
    Cases,
    attached,
    b64,
    mail,
    multipart,
    named,
    nest,
    part,
    qp,
    zipped,
)

MIXED = b"Content-Type: multipart/mixed; boundary=frontier"
NAMED = named("report.dat")


def _mixed(*parts: bytes, close: bool = True, field: bytes = MIXED, boundary: bytes = b"frontier") -> bytes:
    return mail(field, body=multipart(TEXT, *parts, boundary=boundary, close=close))


def _lines(text: bytes, width: int = 76) -> bytes:
    return b"".join(text[at : at + width] + b"\r\n" for at in range(0, len(text), width))


def _uu(data: bytes) -> bytes:
    rows = b"".join(binascii.b2a_uu(data[at : at + 45]).rstrip(b"\n") + b"\r\n" for at in range(0, len(data), 45))
    return b"begin 644 report.dat\r\n" + rows + b"`\r\nend\r\n"


def headers() -> Cases:
    """Fields that two readers read differently, two quirks together."""
    cases = Cases()
    seven = b"Content-Transfer-Encoding: 7bit"
    cases.add("two encodings, no closing delimiter", _mixed(part(b64(PAYLOAD), OCTETS, seven, BASE64, NAMED), close=False))
    cases.add(
        "boundary in RFC 2231 pieces, a second type",
        mail(
            b"Content-Type: multipart/mixed; boundary*0*=us-ascii''fron; boundary*1=tier",
            b"Content-Type: text/plain",
            body=multipart(TEXT, part(b64(PAYLOAD), OCTETS, BASE64, NAMED)),
        ),
    )
    cases.add(
        "boundary as encoded word behind a comment",
        _mixed(
            part(b64(PAYLOAD), OCTETS, BASE64, NAMED),
            field=b'Content-Type: multipart/mixed (x; boundary=no); boundary="=?us-ascii?Q?front?= =?us-ascii?B?aWVy?="',
        ),
    )
    cases.add(
        "encoding folded with tabs and a NUL", _mixed(part(b64(PAYLOAD), OCTETS, b"Content-Transfer-Encoding:\r\n\t\tba\0se64", NAMED))
    )
    cases.add(
        "encoding behind two empty folds", _mixed(part(b64(PAYLOAD), OCTETS, b"Content-Transfer-Encoding:\r\n\t\r\n \t\r\n\tbase64", NAMED))
    )
    cases.add(
        "encoding in quotes, comment and capitals",
        _mixed(part(b64(PAYLOAD, 4), OCTETS, b'cOnTeNt-TrAnSfEr-EnCoDiNg: (a(b)c)"BASE\\64" ;x=y', NAMED)),
    )
    cases.add(
        "field name with a tab, value with a vertical tab",
        _mixed(part(b64(PAYLOAD), OCTETS, b"Content-Transfer-Encoding\t :\x0bbase64", NAMED)),
    )
    cases.add(
        "boundary with an escaped quote",
        mail(
            b'Content-Type: multipart/mixed; boundary="fron\\"tier"',
            body=multipart(TEXT, part(b64(PAYLOAD), OCTETS, BASE64, NAMED), boundary=b'fron"tier'),
        ),
    )
    cases.add(
        "boundary in a quoted parameter before the real one",
        _mixed(
            part(b64(PAYLOAD), OCTETS, BASE64, NAMED), field=b'Content-Type: multipart/mixed; note="; boundary=other"; boundary=frontier'
        ),
    )
    cases.add(
        "boundary of 150 letters, folded in the middle",
        mail(
            b'Content-Type: multipart/mixed;\r\n boundary="' + b"a" * 75 + b"\r\n " + b"b" * 75 + b'"',
            body=multipart(TEXT, part(b64(PAYLOAD), OCTETS, BASE64, NAMED), boundary=b"a" * 75 + b" " + b"b" * 75),
        ),
    )
    cases.add("byte order mark before a part's fields", _mixed(b"\xef\xbb\xbf" + part(b64(PAYLOAD), BASE64, OCTETS, NAMED)))
    cases.add("underscore for the hyphen, dot at the end", _mixed(part(b64(PAYLOAD), OCTETS, b"Content_Transfer_Encoding: base64.", NAMED)))
    cases.add(
        "type says multipart/mixed twice by comma",
        mail(
            b"Content-Type: text/plain, multipart/mixed; boundary=frontier", body=multipart(TEXT, part(b64(PAYLOAD), OCTETS, BASE64, NAMED))
        ),
    )
    cases.add(
        "encoding only in the type's parameters",
        _mixed(part(b64(PAYLOAD), b"Content-Type: application/octet-stream; content-transfer-encoding=base64", NAMED)),
    )
    cases.add("encoding in an extension field", _mixed(part(b64(PAYLOAD), OCTETS, b"X-Content-Transfer-Encoding: base64", NAMED)))
    cases.add(
        "soft hyphen in the encoding's name", _mixed(part(b64(PAYLOAD), OCTETS, "Content-Transfer-Encoding: base\u00ad64".encode(), NAMED))
    )
    return cases


def bodies() -> Cases:
    """Encodings in each other."""
    cases = Cases()
    inner = multipart(TEXT, part(b64(PAYLOAD), OCTETS, BASE64, NAMED))
    thrice = nest(2, inner, lambda data: multipart(part(b64(data), MIXED, BASE64)))
    cases.add("an encoded multipart three times", mail(MIXED, body=thrice))
    cases.add(
        "quoted-printable over base64, both named",
        _mixed(part(qp(b64(PAYLOAD)), OCTETS, b"Content-Transfer-Encoding: quoted-printable, base64", NAMED)),
    )
    cases.add(
        "base64 over quoted-printable, two fields",
        _mixed(part(b64(qp(PAYLOAD)), OCTETS, BASE64, b"Content-Transfer-Encoding: quoted-printable", NAMED)),
    )
    cases.add("base64 three times in a text file", attached(nest(3, EICAR, b64), "key.txt", b"Content-Type: text/plain"))
    cases.add(
        "base64 with a byte order mark and one long line", _mixed(part(b"\xef\xbb\xbf" + base64.b64encode(PAYLOAD), OCTETS, BASE64, NAMED))
    )
    cases.add("base64 in UTF-16", _mixed(part(b64(PAYLOAD).decode().encode("utf-16"), OCTETS, BASE64, NAMED)))
    cases.add(
        "base64 with padding on each line, encoding capitalised with a comment",
        _mixed(
            part(
                b"".join(b64(PAYLOAD[at : at + 10]) for at in range(0, len(PAYLOAD), 10)),
                OCTETS,
                b"Content-Transfer-Encoding: Base64 (of course)",
                NAMED,
            )
        ),
    )
    cases.add(
        "base64 with dots doubled", _mixed(part(b"..".join(_lines(base64.b64encode(PAYLOAD), 20).split(b"\r\n")), OCTETS, BASE64, NAMED))
    )
    cases.add("base64 quoted with >", _mixed(part(b"".join(b"> " + row + b"\r\n" for row in b64(PAYLOAD).split()), OCTETS, BASE64, NAMED)))
    cases.add(
        "base64 with a header line before it and CR line ends",
        _mixed(part(b"Version: 1\r\r" + b64(PAYLOAD, 40, b"\r"), OCTETS, BASE64, NAMED)),
    )
    cases.add(
        "uuencode in quoted-printable in a message",
        mail(
            b"Content-Type: message/rfc822",
            body=mail(b"Content-Type: text/plain", b"Content-Transfer-Encoding: quoted-printable", body=qp(_uu(PAYLOAD))),
        ),
    )
    cases.add(
        "uuencode in base64 in a web page's comment",
        mail(b"Content-Type: text/html", BASE64, body=b64(b"<html><!--\r\n" + _uu(PAYLOAD) + b"--></html>")),
    )
    cases.add("uuencode named, base64 written", _mixed(part(b64(PAYLOAD), OCTETS, b"Content-Transfer-Encoding: x-uuencode", NAMED)))
    cases.add("base64 named, uuencode written", _mixed(part(_uu(PAYLOAD), OCTETS, BASE64, NAMED)))
    cases.add(
        "a message with an encoding, its part with two",
        mail(
            MIXED,
            body=multipart(
                part(
                    b64(_mixed(part(b64(PAYLOAD), OCTETS, BASE64, b"Content-Transfer-Encoding: 8bit", NAMED))),
                    b"Content-Type: message/rfc822",
                    BASE64,
                )
            ),
        ),
    )
    cases.add(
        "message/global in quoted-printable",
        mail(b"Content-Type: message/global", b"Content-Transfer-Encoding: quoted-printable", body=qp(attached(PAYLOAD))),
    )
    return cases


def frames() -> Cases:
    """Where parts begin and end."""
    cases = Cases()
    evil = part(b64(PAYLOAD), OCTETS, BASE64, NAMED)
    inner = part(multipart(evil, boundary=b"frontier2", close=False), b"Content-Type: multipart/mixed; boundary=frontier2")
    cases.add("inner boundary begins with the outer one, neither closed", _mixed(inner, close=False))
    outer = part(multipart(evil, boundary=b"front", close=False), b"Content-Type: multipart/mixed; boundary=front")
    cases.add("outer boundary begins with the inner one, neither closed", _mixed(outer, close=False))
    cases.add("a part after the close, its delimiter indented", mail(MIXED, body=multipart(TEXT) + b"\r\n --frontier\r\n" + evil + b"\r\n"))
    cases.add(
        "delimiters end in CR only, no close",
        mail(MIXED, body=b"--frontier\r" + TEXT.replace(b"\r\n", b"\r") + b"\r--frontier\r" + evil.replace(b"\r\n", b"\r")),
    )
    cases.add("every line ends LF CR", _mixed(evil).replace(b"\r\n", b"\n\r"))
    cases.add(
        "every line ends CR CR LF, two encodings",
        _mixed(part(b64(PAYLOAD), OCTETS, b"Content-Transfer-Encoding: 7bit", BASE64, NAMED)).replace(b"\r\n", b"\r\r\n"),
    )
    cases.add("delimiter with trailing NUL and tab", _mixed(evil).replace(b"--frontier\r\n", b"--frontier\0\t\r\n"))
    cases.add("delimiter after three dashes", _mixed(evil).replace(b"\r\n--frontier\r\n", b"\r\n---frontier\r\n"))
    cases.add(
        "boundary quoted with a blank at its end", mail(b'Content-Type: multipart/mixed; boundary="frontier "', body=multipart(TEXT, evil))
    )
    cases.add(
        "digest whose message has a broken header",
        mail(b"Content-Type: multipart/digest; boundary=frontier", body=multipart(b"\r\nSubject : x\r\n" + evil)),
    )
    cases.add(
        "25 messages in each other, type and encoding swapped",
        nest(25, attached(PAYLOAD), lambda data: mail(b"Content-Type: message/rfc822", body=data)),
    )
    cases.add("12 messages in each other, each in base64 octets", nest(12, attached(PAYLOAD), lambda data: attached(data, "letter.eml")))
    cases.add(
        "fields after the blank line of a part, folded",
        _mixed(
            b"Content-Type: application/octet-stream\r\n\r\nContent-Transfer-Encoding:\r\n base64\r\n" + NAMED + b"\r\n\r\n" + b64(PAYLOAD)
        ),
    )
    cases.add(
        "no blank line between fields and base64, no close",
        _mixed(b"\r\n".join((OCTETS, BASE64, NAMED)) + b"\r\n" + b64(PAYLOAD), close=False),
    )
    box = b"From - Mon Jan  1 10:00:00 2024\r\n" + mail(body=b"hello\r\n") + b"\r\nFrom - Mon Jan  1 10:01:00 2024\r\n" + attached(PAYLOAD)
    cases.add("Mozilla's mbox as octets", attached(box, "Inbox"))
    cases.add(
        "a letter in a letter's epilogue", mail(MIXED, body=multipart(TEXT) + b"\r\n" + attached(PAYLOAD).replace(b"frontier", b"hidden"))
    )
    cases.add(
        "message/partial with a comment in a message",
        mail(
            b"Content-Type: message/rfc822",
            body=mail(b'Content-Type: Message/(x)Partial; id="a"; number=1; total=2', body=b"Subject: x\r\n\r\nhello"),
        ),
        seen=False,
    )
    cases.add(
        "external body in a digest in a message",
        mail(
            b"Content-Type: message/rfc822",
            body=mail(
                b"Content-Type: multipart/digest; boundary=frontier",
                body=multipart(
                    b'\r\nContent-Type: message/external-body; access-type=URL; URL="http://example.net/x"\r\n\r\nContent-Type: application/zip\r\n\r\n'
                ),
            ),
        ),
        seen=False,
    )
    return cases


def charsets() -> Cases:
    """Texts whose letters are not where ASCII has them."""
    cases = Cases()
    page = '<html><a download=report.zip href="data:application/zip;base64,' + base64.b64encode(PAYLOAD).decode() + '">open</a></html>'
    script = (
        "<html><script>var d=atob('" + base64.b64encode(PAYLOAD).decode() + "');var a=document.createElement('a');"
        "a.href=URL.createObjectURL(new Blob([d]));a.download='report.zip';a.click()</script></html>"
    )

    def shown(charset: str, data: bytes, field: bytes = b"text/html") -> bytes:
        return mail(b"Content-Type: " + field + b"; charset=" + charset.encode(), BASE64, body=b64(data))

    cases.add("data: link in UTF-16 with a mark", shown("utf-16", page.encode("utf-16")))
    cases.add(
        "data: link in UTF-16 big-endian, charset unsaid", mail(b"Content-Type: text/html", BASE64, body=b64(page.encode("utf-16-be")))
    )
    cases.add("data: link in UTF-32", shown("utf-32", page.encode("utf-32")))
    cases.add("script in UTF-7", mail(b"Content-Type: text/html; charset=utf-7", body=script.encode("utf-7")))
    cases.add(
        "script in UTF-7 by the page's own meta element",
        attached(b"+/v8-" + script.encode("utf-7"), "page.html", b"Content-Type: text/html"),
        seen=False,
    )
    cases.add(
        "script with ISO-2022-JP escapes inside its words",
        mail(
            b"Content-Type: text/html; charset=iso-2022-jp",
            BASE64,
            body=b64(
                script.replace("<script", "<scr\x1b(Bipt")
                .replace("atob", "at\x1b(Bob")
                .replace("Blob", "B\x1b(Blob")
                .replace("createObj", "create\x1b(BObj")
                .replace(".download", ".down\x1b(Bload")
                .encode()
            ),
        ),
        seen=False,
    )
    cases.add("data: link in EBCDIC", shown("cp037", page.encode("cp037")))
    cases.add("data: link in UTF-16 inside a ZIP", attached(zipped(("page.html", page.encode("utf-16-le"))), "page.zip"))
    cases.add("test file in UTF-16 text", shown("utf-16le", EICAR.decode().encode("utf-16-le"), b"text/plain"))
    return cases


def file_names() -> Cases:
    """Programs by one of their names."""
    cases = Cases()
    for name, disposition in (
        ("override in RFC 2231", b"filename*=utf-8''report%E2%80%AEfdp.exe"),
        ("encoded words in RFC 2231 pieces", b"filename*0*=utf-8''rep; filename*1=\"=?utf-8?Q?ort=2Ee?=\"; filename*2=xe"),
        ("extension in UTF-16 encoded word", b'filename="=?utf-16be?B?' + base64.b64encode("report.scr".encode("utf-16-be")) + b'?="'),
        ("extension in UTF-7 encoded word", b'filename="=?utf-7?Q?report+AC4-vbs?="'),
        (
            "name twice, folded, second in encoded words",
            b'filename=report.pdf;\r\n\tfilename="=?iso-8859-1?B?' + base64.b64encode(b"report.hta") + b'?="',
        ),
        ("percent signs inside an encoded word", b'filename="=?us-ascii?Q?report=252Ejs?="'),
        ("a class identifier at the end", b'filename="report.{3050f4d8-98b5-11cf-bb82-00aa00bdce0b}"'),
        ("dots of another script", 'filename="report\uff0eexe"'.encode()),
        ("a stream and trailing blanks", b'filename="report.exe::$DATA . "'),
        ("HTML entities", b'filename="report&#46;exe"'),
    ):
        cases.add(
            f"name: {name}", _mixed(part(b64(b"harmless"), OCTETS, b"Content-Disposition: attachment; " + disposition, BASE64)), seen=False
        )
    return cases


def cases() -> list[Case]:
    return [*headers(), *bodies(), *frames(), *charsets(), *file_names()]
