"""Real mail: the plain reading equals that of Python's `email` but for the mails of the golden file, and nearly none is held."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mail.parse.build import reading
from tests.mail.parse.structure_golden import reason

GOLDEN = Path(__file__).with_name("structure.golden")
FOLDERS = [
    "cpython-test-email",
    "flanker",
    "james-mime4j",
    "mikel-mail",
    "mimekit",
    "nodemailer-mailparser",
    "php-imap",
    "postal-mime",
    "rspamd-functional",
    "sisimai-set-of-emails",
    "spamassassin-easy-ham-1",
    "spamassassin-easy-ham-2",
    "spamassassin-hard-ham-1",
    "spamassassin-spam-1",
    "spamassassin-spam-2",
    "stalwart-mail-parser",
]
HELD = 0.02


def _mails(shared: Path, prefix: str) -> list[Path]:
    return sorted(
        path
        for path in (shared / "corpus").rglob("*")
        if path.is_file() and path.name != "SOURCES.md" and path.relative_to(shared / "corpus").parts[0].startswith(prefix)
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_difference_from_pythons_email_is_explained(shared, folder):
    expected = [line for line in GOLDEN.read_text(encoding="utf-8").splitlines() if line.startswith(folder + "/")]

    found = [f"{path.relative_to(shared / 'corpus')}: {why}" for path in _mails(shared, folder) if (why := reason(path.read_bytes()))]

    assert found == expected


def test_no_real_mail_is_held(shared):
    assert [path.name for path in _mails(shared, "spamassassin") if reading(path.read_bytes()).findings] == []


def test_few_of_the_odd_fixtures_are_held(shared):
    mails = [path for path in _mails(shared, "") if "spamassassin" not in str(path)]
    held = [path.name for path in mails if reading(path.read_bytes()).findings]

    assert len(held) < HELD * len(mails), held
