"""The plain reading of sound mail."""

from __future__ import annotations

import pytest

from tests.mail.parse.build import EICAR, EVIL, TEXT, b64, mail, mixed, multipart, reading


@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
def test_letter_with_attachment_has_two_leaves_and_is_plain(eol):
    result = reading(mixed(TEXT, EVIL).replace(b"\r\n", eol))

    assert result.plain
    assert [(part.path, part.declared, part.names) for part in result.parts] == [
        ("1", "text/plain", ()),
        ("2", "application/zip", ("a.zip",)),
    ]
    assert [bytes(part.data) for part in result.parts] == [b"Hello.", EICAR]


def test_spans_of_the_tree_point_into_the_raw_mail():
    raw = mixed(TEXT, EVIL)

    root = reading(raw).root

    first = root.children[0]
    assert root.type == "multipart/mixed"
    assert raw[slice(*first.header)] == b"Content-Type: text/plain\r\n"
    assert raw[slice(*first.body)] == b"Hello."
    assert raw[slice(*root.body)].endswith(b"--b1--\r\n")


def test_unencoded_leaf_is_a_slice_and_no_copy():
    raw = mail(body=b"Hello.")

    (part,) = reading(raw).parts

    assert isinstance(part.data, memoryview)
    assert part.data.obj is raw


def test_header_fields_are_given_with_offsets_and_decoded():
    raw = mail(b"Subject: second", b"Message-ID: <x@example.net>", b"X-Long: one\r\n two").replace(
        b"Subject: test", b"Subject: =?utf-8?B?R3LDvMOfZQ==?="
    )

    headers = reading(raw).headers

    assert headers.subject == "Grüße"
    assert headers.message_id == "x@example.net"
    assert headers.sender == "a@example.net"
    assert headers.values("X-LONG") == [b" one\r\n two"]
    field = headers.fields[1]
    assert raw[field.start : field.end].startswith(b"Subject: =?")


def test_attached_message_is_numbered_below_its_part():
    inner = mixed(TEXT, EVIL, boundary=b"inner")
    raw = mixed(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + inner)

    assert [part.path for part in reading(raw).parts] == ["1", "2.1", "2.2"]


def test_digest_parts_without_type_are_messages():
    raw = mail(b"Content-Type: multipart/digest; boundary=d", body=multipart(b"\r\nSubject: one\r\n\r\nText.", boundary=b"d"))

    (part,) = reading(raw).parts

    assert (part.path, bytes(part.data)) == ("1.1", b"Text.")


def test_quoted_printable_text_is_decoded_and_keeps_its_charset():
    raw = mail(b"Content-Type: text/plain; charset=ISO-8859-1", b"Content-Transfer-Encoding: quoted-printable", body=b"Gr=FC=DFe=\r\n!\r\n")

    (part,) = reading(raw).parts

    assert (bytes(part.data), part.charset) == (b"Gr\xfc\xdfe!\r\n", "iso-8859-1")


def test_no_bytes_at_all_are_an_empty_mail():
    result = reading(b"")

    assert [bytes(part.data) for part in result.parts] == [b""]


@pytest.mark.parametrize("limits", [{"parts": 1}, {"depth": 0}, {"bytes": 10}, {"cpu": -1.0}])
def test_a_limit_leaves_unchecked_and_no_exception(limits):
    result = reading(mixed(*[TEXT] * 80, EVIL), **limits)

    assert {finding.kind for finding in result.findings} == {"unchecked"}
    assert not result.plain


def test_every_prefix_of_a_mail_can_be_read():
    raw = mixed(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + mixed(EVIL, boundary=b"in"), EVIL)

    for cut in range(len(raw)):
        reading(raw[:cut])


def test_base64_with_lost_padding_is_decoded():
    raw = mail(b"Content-Transfer-Encoding: base64", body=b64(b"abcd").rstrip(b"=\r\n"))

    assert bytes(reading(raw).parts[0].data) == b"abcd"
