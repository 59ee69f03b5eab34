"""The walk: everything is looked at once, limits are said, nothing raises."""

from __future__ import annotations

import gzip
import itertools
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.containers import ZipFile, compound, pdf, tnef, zip_of
from tests.support.eicar import EICAR
from tests.support.unpacking import Mail, budget, caught, contents, names, read_mail, unpack

from gatepost.mail.model import Budget, Buffer, Finding, Kind, Limits, Part
from gatepost.mail.unpack import walk


def _zip(name: bytes, data: bytes) -> bytes:
    return zip_of(ZipFile.of(name, data))


def _mail(name: str, data: bytes) -> bytes:
    mail = EmailMessage()
    mail["From"] = "a@example.org"
    mail.set_content("see attachment")
    mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


def test_given_parts_come_first_with_their_types_and_keep_everything_else() -> None:
    given_parts = [
        Part("1", b"hello", declared="text/plain", charset="utf-8"),
        Part("2", _zip(b"a.txt", b"hello"), ("a.zip",), disposition="attachment"),
    ]
    found = walk(given_parts, budget(), read_mail)
    assert [part.type for part in found.parts] == ["text", "zip", "text"]
    assert found.parts[0].charset == "utf-8"
    assert found.parts[2] == Part("2!a.txt", b"hello", ("a.txt",), type="text", disposition="attachment", depth=1)


def test_a_memoryview_is_as_good_as_bytes() -> None:
    assert caught(unpack(memoryview(_zip(b"setup.exe", EICAR))))


def test_a_mail_in_an_archive_is_read_as_a_mail() -> None:
    found = unpack(_zip(b"mail.eml", _mail("a.zip", _zip(b"setup.exe", EICAR))))
    assert caught(found)
    assert "1!mail.eml!2!setup.exe" in {part.path for part in found.parts}


def test_every_mail_of_an_mbox_is_read() -> None:
    mails = b"".join(
        b"From a@example.org Mon Jan  1 10:00:00 2024\n" + _mail("x.gz", gzip.compress(data)) + b"\n" for data in (b"one", EICAR)
    )
    found = unpack(mails, "old.mbox")
    assert b"one" in contents(found)
    assert caught(found)


def test_findings_of_a_mail_inside_carry_its_path() -> None:
    odd = lambda _raw, _budget: Mail([], [Finding(Kind.AMBIGUOUS, "two-boundaries", "1")])  # noqa: E731
    found = walk([Part("2", _zip(b"a.eml", _mail("a", b"b")), ("a.zip",))], budget(), odd)
    assert [(finding.name, finding.part) for finding in found.findings] == [("two-boundaries", "2!a.eml!1")]


def test_what_the_reader_of_mails_made_of_a_mail_is_not_read_again() -> None:
    raw = _mail("a.txt", b"hello")
    reads = []

    def reader(data: Buffer, _: Budget) -> Mail:
        reads.append(bytes(data))
        return Mail([Part("1", b"x" * len(reads) + b"\n"), Part("1", raw + b" ", reading="no-header")])

    walk([Part("1", raw, ("a.eml",))], budget(), reader)
    assert reads == [raw]


def test_copies_of_a_container_are_listed_and_opened_once() -> None:
    inner = _zip(b"setup.exe", EICAR)
    found = unpack(zip_of(*(ZipFile.of(b"%d.zip" % n, inner) for n in range(16))))
    assert len(found.parts) == 1 + 16 + 1


@pytest.mark.parametrize("levels", [30, 40])
def test_depth_is_followed_to_the_limit_and_then_said(levels: int) -> None:
    data = EICAR
    for level in range(levels):
        data = _zip(b"%d" % level, data)
    found = unpack(data)
    assert caught(found) == (levels == 30)
    assert names(found, Kind.UNCHECKED) == (set() if levels == 30 else {"limit-depth"})


def test_a_limit_in_one_container_does_not_hide_the_others() -> None:
    bomb = Part("1", gzip.compress(bytes(9 << 20)), ("a.gz",))
    found = walk([bomb, Part("2", _zip(b"setup.exe", EICAR))], budget(Limits(ratio_floor=1 << 20)), read_mail)
    assert EICAR in [bytes(part.data) for part in found.parts]
    assert names(found, Kind.UNCHECKED) == {"limit-ratio"}


def test_a_limit_of_the_whole_mail_names_what_was_not_looked_at() -> None:
    found = walk(
        [Part(str(n), gzip.compress(bytes((n,)) * (1 << 20)), ("a.gz",)) for n in range(1, 5)], budget(Limits(bytes=2 << 20)), read_mail
    )
    assert names(found, Kind.UNCHECKED) == {"limit-bytes"}
    assert "3" in found.findings[-1].detail
    assert {part.path for part in found.parts} >= {"1", "2", "3", "4"}


def test_time_that_runs_out_is_said() -> None:
    clock = itertools.count(0, 1.0)
    found = walk([Part("1", _zip(b"a.zip", _zip(b"b", b"c")))], budget(Limits(cpu=2), lambda: next(clock)), read_mail)
    assert names(found, Kind.UNCHECKED) == {"limit-cpu"}


def test_an_archive_that_nothing_opens_is_unchecked() -> None:
    assert names(unpack(b"\0" * 7 + b"**ACE**" + bytes(99), "a.ace"), Kind.UNCHECKED) == {"format-ace"}


SEEDS = [
    zip_of(ZipFile.of(b"a.txt", b"hello" * 9), ZipFile.of(b"b.exe", EICAR)),
    gzip.compress(EICAR),
    compound({"WordDocument": b"x" * 5000, "\x01Ole10Native": EICAR}),
    pdf(EICAR),
    tnef(b"a", EICAR),
]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 8000), st.binary(max_size=8)), max_size=6), st.integers(0, 8000))
def test_no_change_of_a_container_makes_the_walk_raise(seed: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    data = bytearray(seed)
    for at, piece in changes:
        data[at % len(seed) : at % len(seed) + len(piece)] = piece
    unpack(bytes(data[: len(data) - cut % len(data)]))
