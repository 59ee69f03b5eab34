"""Every kind of change is found by a full check, and the table in the manual tells the truth about metadata-first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.integrity.entry import shown
from gatepost.integrity.report import Report
from tests.integrity.conftest import Host, on_disk
from tests.support.mutations import MUTATIONS, Mutation, table

ROOT = os.geteuid() == 0
POSSIBLE = [m for m in MUTATIONS if ROOT or not m.needs]
TABLE = Path(__file__).resolve().parents[2] / "docs" / "integrity.md"


def _folder(mutation: Mutation) -> str:
    return f"{MUTATIONS.index(mutation):02d}"


@pytest.fixture(scope="module")
def reports() -> Iterator[dict[str, Report]]:
    """All changes made at once, each in its folder, then looked at both ways."""
    with on_disk() as folder:
        yield from _reports(Host(folder))


def _reports(host: Host) -> Iterator[dict[str, Report]]:
    for mutation in POSSIBLE:
        (host.tree / _folder(mutation)).mkdir(parents=True)
        mutation.prepare(host.tree / _folder(mutation))
    host.init()
    clean = host.check()
    try:
        for mutation in POSSIBLE:
            mutation.change(host.tree / _folder(mutation))
        yield {"clean": clean, "full": host.check(), "metadata": host.check(full=False)}
    finally:
        for mutation in POSSIBLE:
            mutation.undo(host.tree / _folder(mutation))


def _found(report: Report, mutation: Mutation) -> bool:
    path = os.fsencode(f"/{_folder(mutation)}/{mutation.seen}")
    return shown(path) in {finding.path for finding in report.findings}


def test_the_table_of_the_manual_is_this_one() -> None:
    assert table() in TABLE.read_text("utf-8")


def test_there_are_more_than_forty_kinds() -> None:
    assert len({m.name for m in MUTATIONS}) == len(MUTATIONS) > 40


def test_nothing_is_found_before_anything_changes(reports: dict[str, Report]) -> None:
    assert reports["clean"].findings == ()
    assert reports["clean"].status.value == "well"


@pytest.mark.parametrize("mutation", POSSIBLE, ids=lambda m: m.name)
def test_a_full_check_finds(reports: dict[str, Report], mutation: Mutation) -> None:
    assert _found(reports["full"], mutation)


@pytest.mark.parametrize("mutation", POSSIBLE, ids=lambda m: m.name)
def test_metadata_first_finds_what_it_promises(reports: dict[str, Report], mutation: Mutation) -> None:
    assert _found(reports["metadata"], mutation) is mutation.metadata


def test_only_folders_that_were_changed_are_reported(reports: dict[str, Report]) -> None:
    names = {finding.path.split("/")[1] for finding in reports["full"].findings}

    assert names <= {_folder(m) for m in POSSIBLE} | {f".{_folder(m)}-{part}" for m in POSSIBLE for part in ("upper", "work")}
