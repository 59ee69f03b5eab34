"""The watch tells of old signatures when they cross an age, of licences when they end, and not again with every round."""

from __future__ import annotations

import datetime as dt
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


def test_a_licence_is_told_of_at_30_days_at_7_days_and_when_it_is_over_once_each(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    notes: list[Note] = []
    monkeypatch.setattr(watchd, "ask_once", lambda _path, note: notes.append(note))
    until = dt.date(2026, 12, 31)
    engines = {
        "yara": {"licence_until": until},
        "banned": {"licence_until": until, "enabled": False},
        "hashes": {},
    }
    licensed = Site.model_validate(site.model_dump(mode="json", by_alias=True, exclude_none=True) | {"engines": engines})
    told: dict[str, str] = {}

    for left in (90, 31, 30, 29, 8, 7, 1, 0, -1, -2, -90):
        told = watchd._warn_of_licences(licensed, tmp_path, told, until - dt.timedelta(left))

    assert [(note.kind, note.subject, note.data["text"]) for note in notes] == [
        ("engine.licence", "engine yara", "its licence ends within 30 days, on 2026-12-31"),
        ("engine.licence", "engine yara", "its licence ends within 7 days, on 2026-12-31"),
        ("engine.licence", "engine yara", "its licence is over since 2026-12-31"),
    ]


def test_a_licence_that_was_renewed_is_told_of_again_when_it_ends(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    notes: list[Note] = []
    monkeypatch.setattr(watchd, "ask_once", lambda _path, note: notes.append(note))
    told: dict[str, str] = {}

    for year in (2026, 2027):
        engines = {"yara": {"licence_until": dt.date(year, 12, 31)}}
        licensed = Site.model_validate(site.model_dump(mode="json", by_alias=True, exclude_none=True) | {"engines": engines})
        for day in (dt.date(year, 1, 5), dt.date(year, 12, 30)):
            told = watchd._warn_of_licences(licensed, tmp_path, told, day)

    assert [note.data["text"] for note in notes] == [f"its licence ends within 7 days, on {year}-12-31" for year in (2026, 2027)]
