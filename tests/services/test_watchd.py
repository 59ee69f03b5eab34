"""The watch tells of old signatures when they cross an age, and not again with every round."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.services import watchd
from gatepost.services.messages import Note
from gatepost.signatures.manifest import Manifest
from gatepost.signatures.store import Store
from gatepost.site.model import Site

HOUR = 3600.0
MADE = 1_790_000_000.0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    store = Store(tmp_path / "signatures/own")
    with store.locked(), store.staged(Manifest({}, 1, MADE), {"own.yar": b""}) as staged:
        store.take(staged)
    return Site.model_validate(
        {
            "site": {"name": "x", "state": str(tmp_path)},
            "mail": {"domains": ["widget.example"], "next_hop": "mail.widget.example:25"},
            "signatures": {"own": {"kind": "yara", "source": "/nonexistent"}, "never": {"kind": "yara", "source": "/nonexistent"}},
        }
    )


def test_signatures_are_told_of_at_24_and_at_48_hours_once_each(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    notes: list[Note] = []
    monkeypatch.setattr(watchd, "ask_once", lambda _path, note: notes.append(note))
    told: dict[str, float] = {}

    for hours in (1, 23, 24, 25, 30, 47, 48, 49, 90):
        told = watchd._warn(tmp_path, told, watchd.ages(site, MADE + hours * HOUR))

    assert [(note.subject, note.data["text"]) for note in notes] == [
        ("set own", "older than 24 hours"),
        ("set own", "older than 48 hours"),
    ]
    told = watchd._warn(tmp_path, told, watchd.ages(site, MADE))
    watchd._warn(tmp_path, told, watchd.ages(site, MADE + 24 * HOUR))
    assert len(notes) == 3
