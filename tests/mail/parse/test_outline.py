"""The outline of a mail: what is cut out is a part, and nothing else is missing."""

from __future__ import annotations

import base64
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.model import Budget, Limits
from gatepost.mail.parse import read
from gatepost.mail.parse.outline import EDGE, LARGE, outline


def mixed(bodies: list[bytes], encoding: str = "base64", end: bytes = b"\r\n") -> bytes:
    """A mail with a text and attachments."""
    lines = [b"From: a@example.org", b"MIME-Version: 1.0", b'Content-Type: multipart/mixed; boundary="limit"', b"", b"--limit"]
    lines += [b"Content-Type: text/plain", b"", b"See the files."]
    for body in bodies:
        head = [b"--limit", b"Content-Type: application/octet-stream", b"Content-Transfer-Encoding: " + encoding.encode(), b""]
        lines += [*head, *base64.encodebytes(body).splitlines()]
    return end.join([*lines, b"--limit--", b""])


def outlined(mail: bytes) -> tuple[bytes, frozenset[str]] | None:
    reading = read(mail, Budget(Limits(), cpu=time.process_time, wall=time.monotonic))
    assert reading.plain
    found = outline(reading.root)
    if found:
        assert found.cut <= {part.path for part in reading.parts}
    return (bytes(found.data), found.cut) if found else None


@given(st.lists(st.integers(0, 4 * LARGE), max_size=4), st.sampled_from([b"\r\n", b"\n"]))
def test_large_attachments_lose_their_middle_and_nothing_else_is_missing(sizes: list[int], end: bytes) -> None:
    bodies = [random.Random(size).randbytes(size) for size in sizes]
    mail = mixed(bodies, end=end)
    large = {str(number + 2) for number, body in enumerate(bodies) if len(base64.encodebytes(body).replace(b"\n", end)) > LARGE + len(end)}

    found = outlined(mail)

    assert (found[1] if found else frozenset()) >= large
    if found:
        left = iter(mail.splitlines(keepends=True))
        assert all(line in left for line in found[0].splitlines(keepends=True))  # lines of the mail, whole and in order
        assert len(found[0]) < len(mixed([], end=end)) + len(sizes) * (LARGE + 200)


def test_start_and_end_of_an_attachment_stay() -> None:
    body = random.Random(1).randbytes(LARGE * 2)
    text = base64.encodebytes(body)

    found = outlined(mixed([body], end=b"\n"))

    assert found is not None
    assert text[:EDGE] in found[0]
    assert text[-EDGE:] in found[0]


def test_a_body_that_is_an_attachment_itself_is_cut_too() -> None:
    body = base64.encodebytes(bytes(LARGE))
    found = outlined(b"From: a@example.org\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n" + body)

    assert found is not None
    assert found[1] == {"1"}


@pytest.mark.parametrize("mail", [b"From: a@example.org\n\n" + b"word " * LARGE, mixed([bytes(1000)])], ids=["text", "small"])
def test_a_mail_with_nothing_to_cut_has_no_outline(mail: bytes) -> None:
    assert outlined(mail) is None
