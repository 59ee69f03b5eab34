"""A cleaned mail is the mail as it was but for the dangerous parts, for every reader."""

from __future__ import annotations

import email
import time
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.documents import with_macros

from gatepost.mail.act.clean import Cleaned, CleanError, Order, clean
from gatepost.mail.model import Budget, Finding, Kind, Limits
from gatepost.mail.parse import read

VIRUS = Finding(Kind.VIRUS, "Eicar-Test-Signature", "2", "yara")


def budget() -> Budget:
    return Budget(Limits(), time.process_time, time.monotonic)


def letter(*files: tuple[str, bytes]) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = "carol@partner.example", "bob@widget.example", "Invoice"
    mail["DKIM-Signature"] = "v=1; d=partner.example; bh=AAAA; b=BBBB"
    mail.set_content("Dear Bob,\n\nhere it is.\n")
    for name, content in files:
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail


TWO = letter(("bad.exe", b"MZ" + bytes(range(256)) * 4), ("fine.bin", bytes(range(256)))).as_bytes()


def cleaned(raw: bytes, *findings: Finding, strip: bool = True) -> Cleaned:
    return clean(raw, Order("1M84KHRVTA6EBD", findings or (VIRUS,), strip), budget())


def leaves(raw: bytes) -> list[EmailMessage]:
    mail = email.message_from_bytes(raw, policy=default)
    return [part for part in mail.walk() if not part.is_multipart()]  # type: ignore[attr-defined]


def test_a_notice_stands_in_place_of_the_part_and_names_file_reason_and_number() -> None:
    _, notice, _ = leaves(cleaned(TWO).content)

    assert notice.get_content_type() == "text/plain"
    assert notice.get_filename() is None
    text = notice.get_content()
    for words in ("bad.exe", "a virus was found in it", "Eicar-Test-Signature", "1M84KHRVTA6EBD"):
        assert words in text


def test_every_other_byte_is_as_it_was() -> None:
    content = cleaned(TWO).content
    start = TWO.index(b"Content-Type: application/octet-stream")
    end = TWO.index(b"\r\n--", start)

    assert content.startswith(TWO[:start])
    assert content.endswith(TWO[end:])
    assert b"MZ" not in b"".join(part.get_content() for part in leaves(content) if part.get_content_maintype() != "text")
    assert not any(part.defects for part in leaves(content))


def test_what_is_found_inside_an_archive_takes_the_whole_archive_away() -> None:
    found = Finding(Kind.BANNED, "program", "2!inner.zip!setup.exe", "banned")
    assert cleaned(TWO, found).content == cleaned(TWO, Finding(Kind.BANNED, "program", "2", "banned")).content


def test_several_parts_go_and_each_has_its_own_notice() -> None:
    content = cleaned(TWO, VIRUS, Finding(Kind.ENCRYPTED, "zip-encrypted", "3!a", "unpack")).content
    _, first, second = leaves(content)
    assert "bad.exe" in first.get_content()
    assert "fine.bin" in second.get_content()
    assert "it is encrypted and could not be checked" in second.get_content()


def test_a_mail_that_is_nothing_but_the_file_keeps_its_header() -> None:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["Subject"], mail["X-Mark"] = "carol@partner.example", "one file", "kept"
    mail.set_content(b"MZ" * 99, maintype="application", subtype="octet-stream", filename="bad.exe")

    content = cleaned(mail.as_bytes(), Finding(Kind.VIRUS, "V", "1")).content
    (notice,) = leaves(content)

    assert (notice["Subject"], notice["X-Mark"], notice["MIME-Version"]) == ("one file", "kept", "1.0")
    assert content.count(b"Content-Type:") == 1
    assert "bad.exe" in notice.get_content()


@pytest.mark.parametrize("part", ["2.2", "2.2!x.zip!y"])
def test_in_an_attached_mail_only_its_part_goes(part: str) -> None:
    mail = letter()
    mail.add_attachment(letter(("bad.exe", b"MZ" * 30)))
    content = cleaned(mail.as_bytes(), Finding(Kind.VIRUS, "V", part)).content

    assert [one.get_content_type() for one in leaves(content)] == ["text/plain"] * 3
    assert content.count(b"Subject: Invoice") == 2


def test_a_part_in_an_encoded_mail_takes_that_mail_away() -> None:
    """There the bytes of the part are not those of the mail, so the part has no place of its own."""
    inner = letter(("bad.exe", b"MZ" * 30)).as_bytes()
    mail = letter(("inner.eml", inner))
    content = cleaned(mail.as_bytes(), Finding(Kind.VIRUS, "V", "2.2")).content
    assert "inner.eml" in leaves(content)[1].get_content()


def test_dkim_signatures_stay() -> None:
    """RFC 6376 4.2: a signature that does not verify any more does no harm, and who comes after us may want to see it."""
    assert b"DKIM-Signature: v=1; d=partner.example; bh=AAAA; b=BBBB\r\n" in cleaned(TWO).content


def test_line_ends_are_those_of_the_mail() -> None:
    assert b"\r" not in cleaned(TWO.replace(b"\r\n", b"\n")).content


@pytest.mark.parametrize(
    "name", ["a\u202egnp.exe", "a\r\nBcc: eve@example.org.exe", "--=_x.exe", "http://evil.example/a.exe", "x" * 5000, "Rechnung März.exe"]
)
def test_no_name_gets_more_than_letters_into_the_notice(name: str) -> None:
    mail = letter(("NAME", b"MZ" * 9)).as_bytes()
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    raw = mail.replace(b'filename="NAME"', b"filename*=utf-8''" + encoded.encode())
    content = cleaned(raw).content

    line = next(line for line in leaves(content)[1].get_content().splitlines() if line.startswith("Removed:"))
    shown = line.removeprefix("Removed:").strip()
    assert 0 < len(shown) <= 80
    assert all(character.isalnum() or character in " ._()+-" for character in shown)
    assert read(content, budget()).plain


def test_macros_go_out_of_a_document_and_a_notice_stands_before_it() -> None:
    raw = letter(("plan.docm", with_macros("docm", b"macro"))).as_bytes()
    result = cleaned(raw, Finding(Kind.SUSPECT, "macro-auto-start", "2", "macros"))
    _, notice, document = leaves(result.content)

    assert result.stripped
    assert "Macros removed from:  plan.docm" in notice.get_content()
    assert document.get_filename() == "plan.docx"
    assert document.get_content_type() == "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    assert document.get_content().startswith(b"PK")


def test_without_leave_to_strip_the_document_goes_whole() -> None:
    raw = letter(("plan.docm", with_macros("docm", b"macro"))).as_bytes()
    result = cleaned(raw, Finding(Kind.SUSPECT, "macro-auto-start", "2", "macros"), strip=False)
    assert not result.stripped
    assert len(leaves(result.content)) == 2


@pytest.mark.parametrize(
    "raw",
    [
        TWO.replace(b"MIME-Version", b"Content-Type: text/plain\r\nMIME-Version", 1),
        TWO.replace(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit", 1),
        TWO.replace(b"\r\n\r\n", b"\n\r\n", 1),
        TWO.replace(b"hello", b"he\x00llo").replace(b"here", b"he\x00re"),
    ],
    ids=["two types", "two encodings", "mixed line ends", "NUL"],
)
def test_a_mail_with_several_readings_is_never_cleaned(raw: bytes) -> None:
    with pytest.raises(CleanError, match="different ways"):
        cleaned(raw)


@pytest.mark.parametrize("part", ["", "9", "9.1!x"])
def test_a_finding_about_no_part_cannot_be_cleaned(part: str) -> None:
    with pytest.raises(CleanError):
        cleaned(TWO, Finding(Kind.VIRUS, "V", part))


LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""What str.splitlines cuts at, which the mail library that writes the test's mails refuses in a name."""


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=("Cs",), exclude_characters=LINE_ENDS), max_size=12), st.binary(max_size=200)),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_whatever_the_files_are_only_the_chosen_ones_change(files: list[tuple[str, bytes]], data: st.DataObject) -> None:
    """Either it cannot be cleaned, or the other files are all there as they were, and the chosen ones are notices."""
    raw = letter(*((f"{number}{name}", content) for number, (name, content) in enumerate(files))).as_bytes()
    chosen = data.draw(st.sets(st.integers(0, len(files) - 1), min_size=1))
    try:
        content = cleaned(raw, *(Finding(Kind.VIRUS, "V", str(number + 2)) for number in chosen), strip=False).content
    except CleanError:
        return
    found = leaves(content)[1:]
    assert len(found) == len(files)
    for number, (part, (_, original)) in enumerate(zip(found, files, strict=True)):
        if number in chosen:
            assert part.get_content_type() == "text/plain"
        else:
            assert part.get_content() == original
