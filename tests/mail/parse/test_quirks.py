"""The table of quirks: each row is documented, and each reading finds what only that reader would see."""

from __future__ import annotations

import pytest

from gatepost.mail.parse import quirks
from tests.conftest import ROOT
from tests.mail.parse.build import EICAR, EVIL, TEXT, b64, mail, mixed, multipart, reading, shows
from tests.mail.parse.readings_page import page

CTE = b"Content-Transfer-Encoding: base64"
ZIP = b"Content-Type: application/zip"


def part(*fields: bytes, body: bytes | None = None, gap: bytes = b"\r\n") -> bytes:
    return b"".join(field + b"\r\n" for field in fields) + gap + (b64() if body is None else body)


def odd(*fields: bytes, **more: bytes) -> bytes:
    return mixed(TEXT, part(ZIP, *fields, **more))


def top(value: bytes, boundary: bytes = b"b1") -> bytes:
    return mail(b"Content-Type: " + value, body=multipart(TEXT, EVIL, boundary=boundary))


CASES = {
    "line-ends": odd(b"X-Note: one\rContent-Transfer-Encoding: base64"),
    "line-ends-each": mixed(TEXT, part(ZIP, CTE, gap=b"\r\r\n")),
    "crlf-only": mixed(TEXT, EVIL).replace(b"Hello.", b"Hello\nworld\rAgain."),
    "nul": odd(b"Content-Transfer-Enc\x00oding: base64"),
    "control-blank": top(b"multipart/mixed; boundary=b1").replace(b"--b1\r\nContent-Type: app", b"--b1\x0b\r\nContent-Type: app"),
    "byte-order-mark": b"\xef\xbb\xbf" + mail(ZIP, CTE, body=b64()),
    "leading-blank": b"\r\n\r\n" + mail(ZIP, CTE, body=b64()),
    "blank-first": mixed(TEXT, b"\r\n" + part(ZIP, CTE)),
    "padded-blank": mixed(TEXT, part(ZIP, CTE, gap=b" \x0b\r\n")),
    "no-blank-line": mixed(TEXT, part(ZIP, CTE, gap=b"")),
    "content-later": mixed(TEXT, part(b"X-Other: a", b"", ZIP, CTE)),
    "no-header": multipart(TEXT, EVIL),
    "odd-name": odd(b"Content-Transfer-Encoding (x) : base64"),
    "cut-fold": odd(b"Content-Transfer-Encoding: base64\r\n ignored"),
    "any-field": odd(b"Content-Transfer-Encoding: 7bit", CTE),
    "comment": odd(b"Content-Transfer-Encoding: ba(x(y))se64"),
    "comment-kept": top(b"multipart/mixed; boundary=b1(b"),
    "encoded-word": odd(b"Content-Transfer-Encoding: =?us-ascii?Q?base64?="),
    "quotes": odd(b'Content-Transfer-Encoding: "base64"'),
    "backslash": odd(b"Content-Transfer-Encoding: bas\\e64"),
    "control-cut": top(b'multipart/mixed; boundary="b1\x01b2"'),
    "control-dropped": top(b'multipart/mixed; boundary="b\x011"'),
    "comma": top(b"multipart/mixed, boundary=b1"),
    "blank-semicolon": top(b"multipart/mixed boundary=b1"),
    "glued-fold": top(b'multipart/mixed; boundary="b\r\n 1"'),
    "after-close": mixed(TEXT) + multipart(EVIL),
    "loose-delimiter": top(b"multipart/mixed; boundary=b1").replace(b"--b1\r\nContent-Type: app", b" --b1 junk\r\nContent-Type: app"),
    "guessed-delimiter": top(b"multipart/mixed", b"unknown"),
    "base64-lenient": odd(CTE, body=b".".join(b64(eol=b"")[i : i + 2] for i in range(0, 92, 2))),
    "quoted-lenient": odd(b"Content-Transfer-Encoding: quoted-printable", body=b"= \r\n".join(b"=%02x" % byte for byte in EICAR)),
    "guessed-encoding": odd(b"Content-Transfer-Encoding: secret"),
    "encodings-in-turn": odd(CTE, b"Content-Transfer-Encoding: quoted-printable", body=b64(b"".join(b"=%02x" % byte for byte in EICAR))),
    "ignore-mime": mail(b"X-Content: none", body=b"one\x0b\r\n\r\n" + b64() + b"\r\ntwo"),
}


@pytest.mark.parametrize("row", CASES)
def test_a_content_that_only_this_reader_sees_is_found(row):
    assert shows(reading(CASES[row]))


def test_every_case_belongs_to_a_row_of_the_table():
    assert set(CASES) <= {row.id for row in quirks.rows()}


def test_ids_of_the_table_are_unique():
    ids = [row.id for row in quirks.rows()]

    assert sorted(set(ids)) == sorted(ids)


def test_the_page_for_administrators_is_the_table():
    assert page() == (ROOT / "docs" / "readings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b"Content-Type: message/partial; id=a; number=1; total=2", "message-partial"),
        (b"Content-Type: (x)MESSAGE/Partial", "message-partial"),
        (b"Content-Type: message/external-body; access-type=URL", "external-body"),
        (b"Content-Type: text/plain\x00; charset=utf-8", "control-in-field"),
    ],
)
def test_what_no_honest_sender_writes_is_ambiguous(field, name):
    for raw in (mail(field, body=b"x"), mixed(TEXT, field + b"\r\n\r\nx")):
        assert ("ambiguous", name) in {(finding.kind, finding.name) for finding in reading(raw).findings}


def test_a_text_about_mime_is_not_judged_by_the_rules():
    raw = mail(body=b"Use this:\r\n\r\n--x\r\nContent-Type: message/partial; id=1\r\n\r\n--x--\r\n")

    assert reading(raw).findings == ()


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-be", "utf-32", "utf-7", "cp037"])
def test_a_text_in_a_charset_that_hides_ascii_is_given_in_utf8_too(charset):
    body = b64(EICAR.decode().encode(charset))
    raw = mail(b"Content-Type: text/plain; charset=" + charset.encode(), CTE, body=body)

    assert shows(reading(raw))
