"""Logs may grow and be rotated; a log that loses a line is a finding."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.integrity.report import Report
from gatepost.site.integrity import Integrity, Rule
from tests.integrity.conftest import Host

LINES = b"".join(b"line %d\n" % n for n in range(2000))
SECTION = Integrity(
    rules=(
        Rule(name="Logs", paths=("/log",), watch="Growing+may-appear"),
        Rule(name="Rotated", paths=("/log",), watch="Dynamic+may-appear+may-vanish", pattern=r"\.[0-9]+(\.gz)?$"),
    ),
    canary="/log/canary",
)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path, SECTION)
    (made.tree / "log").mkdir(parents=True)
    (made.tree / "log/messages").write_bytes(LINES)
    made.init()
    return made


def _paths(report: Report) -> list[str]:
    return [finding.path for finding in report.findings]


def _log(host: Host) -> Path:
    return host.tree / "log/messages"


def test_a_log_may_grow(host: Host) -> None:
    with _log(host).open("ab") as log:
        log.write(b"more\n")

    assert _paths(host.check()) == []


@pytest.mark.parametrize(
    "harm",
    [
        lambda p: p.write_bytes(LINES[:-10]),
        lambda p: p.write_bytes(LINES.replace(b"line 7\n", b"")  + b"and much more than was taken away\n"),
        lambda p: p.write_bytes(LINES.replace(b"line 7\n", b"lime 7\n")),
        lambda p: p.write_bytes(b""),
        lambda p: p.unlink(),
        lambda p: (p.rename(p.with_name("messages.1")), p.with_name("messages.1").write_bytes(LINES.replace(b"7", b"8")), p.write_bytes(b"")),
    ],
    ids=["cut", "line removed and others added", "line changed", "emptied", "removed", "edited under cover of rotation"],
)  # fmt: skip
def test_a_log_that_loses_something_is_a_finding(host: Host, harm: Callable[[Path], object]) -> None:
    harm(_log(host))

    assert _paths(host.check()) == ["/log/messages"]


@pytest.mark.parametrize(
    ("name", "pack"),
    [("messages.1", bytes), ("messages.2.gz", gzip.compress), ("messages-20260101.xz", lzma.compress), ("messages.3.bz2", bz2.compress)],
)
def test_a_rotated_log_is_explained(host: Host, name: str, pack: Callable[[bytes], bytes]) -> None:
    _log(host).with_name(name).write_bytes(pack(LINES + b"the last line before rotation\n"))
    _log(host).unlink()
    _log(host).write_bytes(b"first line\n")
    report = host.check()

    assert _paths(report) == []
    assert [e.by for e in report.explained] == ["log rotation"]


def test_a_damaged_archive_explains_nothing(host: Host) -> None:
    _log(host).with_name("messages.1.gz").write_bytes(gzip.compress(LINES)[:-200])
    _log(host).write_bytes(b"")

    assert _paths(host.check()) == ["/log/messages"]


def test_a_link_explains_nothing(host: Host, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(LINES)
    _log(host).with_name("messages.1").symlink_to(tmp_path / "copy")
    _log(host).write_bytes(b"")

    assert _paths(host.check()) == ["/log/messages"]
