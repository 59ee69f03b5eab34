"""Every kind of change is found by a full check, and the table in the manual tells the truth about metadata-first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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


def test_all_that_the_developers_own_injector_changes_is_found(as_root: None, shared: Path) -> None:
    """It knows eight kinds, among them a byte changed with the time put back, and changes of the owner."""
    with on_disk() as folder:
        host = Host(folder)
        shutil.copytree(Path(os.__file__).parent / "email", host.tree / "email")
        shutil.copytree(Path(os.__file__).parent / "json", host.tree / "json")
        host.init()
        command = [sys.executable, shared / "faults/treemutate.py", host.tree, "24", "3"]
        made = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        found = {finding.path for finding in host.check().findings}

    assert {kind for kind, _ in made} >= {"append", "samesize_mtime_restored", "chown", "replace_rename"}
    assert {"/" + str(Path(path).relative_to(host.tree)) for _, path in made} == found
