"""`gatepost quarantine show`: it looks, and leaves everything as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.commandline import gatepost

from gatepost.journal.interface import Query
from gatepost.journal.store import SqliteJournal
from gatepost.services.pretend import pretend
from gatepost.site.load import loads

SITE = """
[site]
name = "W"
state = "{state}"
[mail]
domains = ["widget.example"]
next_hop = "192.168.3.45:25"
[quarantine]
encrypt = true
"""


@pytest.fixture
def kept(tmp_path: Path) -> str:
    """A site with kept mail; gives the id of one."""
    text = SITE.format(state=tmp_path)
    (tmp_path / "site.toml").write_text(text)
    pretend(loads(text), datetime(2026, 11, 23, 12, tzinfo=UTC), mails=40, viruses=4)
    return SqliteJournal(tmp_path / "journal.sqlite", writes=False).search(Query(kept=True, limit=1))[0].id


def test_with_the_key_gone_the_story_is_told_but_the_bytes_are_refused_and_no_key_is_made(kept: str, tmp_path: Path) -> None:
    key = tmp_path / "keys/quarantine.key"
    site = ("--site", tmp_path / "site.toml")
    whole = gatepost("quarantine", "show", kept, *site, "--raw", tmp_path / "one.eml")
    key.unlink()

    story = gatepost("quarantine", "show", kept, *site)
    refused = gatepost("quarantine", "show", kept, *site, "--raw", tmp_path / "two.eml")

    assert (whole.status, story.status, refused.status) == (0, 0, 2), (whole.errors, story.errors)
    assert story.output == whole.output
    assert "restore it from a backup" in refused.errors
    assert not key.exists()
    assert not (tmp_path / "two.eml").exists()
