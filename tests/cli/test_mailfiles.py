"""Mails out of files, folders and mailboxes."""

from pathlib import Path

import pytest

from gatepost.cli import mailfiles

FIRST = b"From: a@example.org\nSubject: one\n\nfirst\n"
SECOND = b"From: b@example.org\nSubject: two\n\nFrom here on\n"
FROM = b"From MAILER-DAEMON Mon Nov 23 12:00:00 2026\n"


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_mailbox_gives_its_mails_with_quoted_from_lines_restored(newline: bytes) -> None:
    box = FROM + FIRST + b"\n" + FROM + SECOND.replace(b"From here", b">From here") + b"\n"

    mails = mailfiles.split(box.replace(b"\n", newline))

    assert [mail.rstrip() for mail in mails] == [mail.replace(b"\n", newline).rstrip() for mail in (FIRST, SECOND)]


def test_a_single_mail_loses_the_from_line_of_its_old_mailbox_and_nothing_else() -> None:
    assert mailfiles.split(FROM + FIRST) == [FIRST]
    assert mailfiles.split(FIRST) == [FIRST]


def test_an_empty_file_is_one_empty_mail() -> None:
    assert mailfiles.split(b"") == [b""]


def test_a_maildir_gives_its_mails_and_not_its_bookkeeping(tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"1.{name}").write_bytes(FIRST)
    (tmp_path / "dovecot-uidlist").write_text("x")
    (tmp_path / ".lock").write_text("x")

    assert mailfiles.find([str(tmp_path)]) == [tmp_path / "cur/1.cur", tmp_path / "new/1.new"]


def test_the_mails_of_a_mailbox_are_counted(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.write_bytes(FROM + FIRST + b"\n" + FROM + SECOND)

    assert [name for name, _mail in mailfiles.read(box)] == [f"{box}#1", f"{box}#2"]
