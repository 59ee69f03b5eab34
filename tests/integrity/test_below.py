"""Changes that never pass the kernel's file system code: only reading the content finds them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.integrity.report import Report
from tests.integrity.conftest import Host

MARK = b"the content as it was, easy to find on the disk"


class Disk:
    """A small ext4 file system in a file, mounted as the watched tree."""

    def __init__(self, folder: Path) -> None:
        self.image, self.tree = folder / "image", folder / "tree"
        self.image.write_bytes(b"")
        os.truncate(self.image, 16 << 20)
        self.tree.mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True, capture_output=True)

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self.image, self.tree], check=True, capture_output=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.tree], check=True, capture_output=True)

    def debugfs(self, *requests: str) -> None:
        for request in requests:
            said = subprocess.run(["debugfs", "-w", "-R", request, self.image], check=True, capture_output=True, text=True)
            assert "Couldn't" not in said.stderr, said.stderr  # debugfs ends with 0 all the same


@pytest.fixture
def disk(as_root: None, tmp_path: Path) -> Iterator[Disk]:
    if not shutil.which("debugfs"):
        pytest.skip("needs debugfs of e2fsprogs")
    disk = Disk(tmp_path)
    try:
        disk.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot mount a loop device here: {error.stderr!r}")
    yield disk
    subprocess.run(["umount", disk.tree], check=False, capture_output=True)


def _write_below(disk: Disk) -> None:
    """Change content in the image itself."""
    data = disk.image.read_bytes()
    where = data.index(MARK)
    with disk.image.open("r+b") as image:
        image.seek(where)
        image.write(b"T")


def _write_and_hide(disk: Disk) -> None:
    """Write through the kernel, then set all times back below it."""
    before = (disk.tree / "file").stat()
    (disk.tree / "file").write_bytes(b"T" + MARK[1:])
    disk.unmount()
    for field, time_ns in (("mtime", before.st_mtime_ns), ("ctime", before.st_ctime_ns)):
        seconds, rest = divmod(time_ns, 10**9)
        disk.debugfs(f"sif file {field} @{seconds}", f"sif file {field}_extra {rest << 2}")
    disk.mount()


@pytest.mark.parametrize("change", [_write_below, _write_and_hide])
def test_only_reading_the_content_finds_it(disk: Disk, tmp_path: Path, change: Callable[[Disk], None]) -> None:
    host = Host(tmp_path)
    (disk.tree / "file").write_bytes(MARK)
    host.init()
    disk.unmount()
    if change is _write_and_hide:
        disk.mount()
        change(disk)
    else:
        change(disk)
        disk.mount()

    assert _paths(host.check(full=False)) == set()
    assert _paths(host.check(full=True)) == {"/file"}


def _paths(report: Report) -> set[str]:
    return {finding.path for finding in report.findings}
