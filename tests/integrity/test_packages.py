"""What dpkg did is one line a package; what was done under its cover is a finding each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.integrity.packages import moved_packages
from gatepost.integrity.report import Report
from gatepost.site.integrity import Integrity, Rule
from tests.integrity.conftest import Host
from tests.support.packages import Debian

PACKAGES = 100
FILES = 6


def _contents(number: int, version: str) -> dict[str, bytes]:
    plain = {f"usr/lib/p{number}/file{n}": f"{number} {n} {version}\n".encode() * 20 for n in range(FILES)}
    return {**plain, f"usr/bin/p{number}": f"#!/bin/sh\necho {version}\n".encode(), f"etc/p{number}.conf": f"version={version}\n".encode()}


def _package(debian: Debian, number: int, version: str) -> Path:
    files = _contents(number, version)
    if version == "2":
        files = {path: data for path, data in files.items() if not path.endswith("file0")} | {f"usr/lib/p{number}/new": b"new\n"}
    modes = {f"usr/bin/p{number}": 0o755}
    return debian.build(f"p{number}", version, files, modes=modes, conffiles=(f"etc/p{number}.conf",))


@pytest.fixture
def debian(as_root: None, tmp_path: Path) -> Debian:
    return Debian(tmp_path / "tree", tmp_path / "workshop")


@pytest.fixture
def host(debian: Debian, tmp_path: Path) -> Host:
    """A host with a few packages, watched."""
    made = Host(
        tmp_path, Integrity(rules=(Rule(name="All", paths=("/",), skip=("/var/lib/dpkg", "/var/log", "/run")),), canary="/etc/canary")
    )
    debian.install(*(_package(debian, n, "1") for n in range(3)))
    made.init()
    assert made.check().findings == ()
    return made


def _paths(report: Report) -> list[str]:
    return [finding.path for finding in report.findings]


def test_an_upgrade_of_a_hundred_packages_is_a_line_each_and_a_planted_byte_exactly_one_finding(debian: Debian, tmp_path: Path) -> None:
    host = Host(tmp_path, Integrity(rules=(Rule(name="All", paths=("/usr", "/etc")),), canary="/etc/canary"))
    debian.install(*(_package(debian, n, "1") for n in range(PACKAGES)))
    host.init()
    debian.install(*(_package(debian, n, "2") for n in range(PACKAGES)))
    report = host.check()

    assert _paths(report) == []
    assert sorted(e.by for e in report.explained) == sorted(f"package p{n}" for n in range(PACKAGES))
    assert {e.why for e in report.explained} == {"1 to 2"}

    target = debian.tree / "usr/lib/p42/file3"
    target.write_bytes(target.read_bytes()[:-1] + b"x")
    assert _paths(host.check()) == ["/usr/lib/p42/file3"]


def test_a_file_of_a_package_that_did_not_move_is_never_explained(debian: Debian, host: Host) -> None:
    debian.install(_package(debian, 1, "2"))
    (debian.tree / "usr/bin/p2").write_bytes(b"evil")

    assert _paths(host.check()) == ["/usr/bin/p2"]


@pytest.mark.parametrize(
    "plant",
    [
        lambda tree: (tree / "usr/bin/p1").chmod(0o4755),
        lambda tree: os.chown(tree / "usr/bin/p1", 1000, 0),
        lambda tree: (tree / "usr/bin/p1").chmod(0o777),
        lambda tree: os.setxattr(tree / "usr/bin/p1", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000")),
        lambda tree: (tree / "usr/bin/p1").write_bytes(b"#!/bin/sh\necho 1\n"),
    ],
    ids=["setuid", "owner", "world writable", "capability", "the former content"],
)
def test_an_upgrade_covers_no_rights_and_no_other_content(debian: Debian, host: Host, plant: Callable[[Path], object]) -> None:
    debian.install(_package(debian, 1, "2"))
    plant(debian.tree)

    assert _paths(host.check()) == ["/usr/bin/p1"]


def test_a_file_put_among_those_of_an_upgraded_package_is_a_finding(debian: Debian, host: Host) -> None:
    debian.install(_package(debian, 1, "2"))
    (debian.tree / "usr/lib/p1/extra").write_bytes(b"evil")

    assert _paths(host.check()) == ["/usr/lib/p1/extra"]


def test_a_file_that_an_upgraded_package_should_have_and_has_not_is_a_finding(debian: Debian, host: Host) -> None:
    debian.install(_package(debian, 1, "2"))
    (debian.tree / "usr/lib/p1/file3").unlink()

    assert _paths(host.check()) == ["/usr/lib/p1/file3"]


def test_a_removed_package_takes_its_files_with_it(debian: Debian, host: Host) -> None:
    debian.install(remove=("p1",))
    report = host.check()

    assert _paths(report) == []
    assert [(e.by, e.why) for e in report.explained] == [("package p1", "removed 1")]


@pytest.fixture
def records(debian: Debian, tmp_path: Path) -> Host:
    """A host whose package database is watched."""
    made = Host(tmp_path, Integrity(rules=(Rule(name="Records", paths=("/var/lib/dpkg/info",)),), canary="/var/lib/dpkg/info/canary"))
    debian.install(*(_package(debian, n, "1") for n in range(3)))
    made.init()
    return made


def test_the_records_of_a_removed_package_go_with_it(debian: Debian, records: Host) -> None:
    debian.install(remove=("p1",))

    assert _paths(records.check()) == []


@pytest.mark.parametrize("record", ["list", "md5sums"])
def test_a_record_that_an_upgraded_package_must_have_and_has_not_is_a_finding(debian: Debian, records: Host, record: str) -> None:
    debian.install(_package(debian, 1, "2"))
    (debian.tree / f"var/lib/dpkg/info/p1.{record}").unlink()

    assert f"/var/lib/dpkg/info/p1.{record}" in _paths(records.check())


def test_a_directory_of_several_packages_may_have_the_rights_that_any_of_them_gives(debian: Debian, tmp_path: Path) -> None:
    made = Host(tmp_path, Integrity(rules=(Rule(name="All", paths=("/usr",)),), canary="/usr/canary"))
    debian.install(_package(debian, 0, "1"))
    made.init()
    giving, plain = (debian.build(f"{n}", "1", {"usr/share/rules/" + n: b"x"}) for n in ("a-giving", "b-plain"))
    debian.install(giving, plain)
    (debian.tree / "usr/share/rules").chmod(0o2755)
    assert _paths(made.check()) == ["/usr/share/rules"]

    (debian.tree / "var/lib/dpkg/info/a-giving.postinst").write_text("#!/bin/sh\nchmod 2755 /usr/share/rules\n")
    assert _paths(made.check()) == []


def test_a_conffile_that_the_administrator_changed_stays_a_finding_after_the_upgrade(debian: Debian, host: Host) -> None:
    (debian.tree / "etc/p1.conf").write_bytes(b"mine\n")
    assert _paths(host.check()) == ["/etc/p1.conf"]
    host.accept(everything=True)
    debian.install(_package(debian, 1, "2"))
    report = host.check()

    assert _paths(report) == []
    assert (debian.tree / "etc/p1.conf.dpkg-dist").exists()


def test_what_moved_is_said_in_words() -> None:
    assert moved_packages({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "3"}) == {
        "b": "1 to 2",
        "c": "removed 1",
        "d": "installed 3",
    }
