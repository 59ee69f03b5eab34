"""A power cut without special hardware: a folder on a disk of its own, and what would be on that disk if the power failed now.

The disk is ext4 in a file, mounted so that the kernel writes back nothing by itself for ten minutes; what is on the "platter" is what was
flushed. It models the loss of the machine's whole cache, not a disk that lies about flushes, nor torn sectors. Needs root and loop devices.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _mounted(image: Path, folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-o", options, image, folder)
    try:
        yield folder
    finally:
        _run("umount", "-l", folder)


@contextmanager
def disk(image: Path, folder: Path, size: int = 64 << 20) -> Iterator[Path]:
    """Mount a new, empty disk on `folder`."""
    if not Path("/dev/loop-control").exists() or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs loop devices and Debian's package e2fsprogs")
    with image.open("wb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
    with _mounted(image, folder, "loop,commit=600,noatime"):
        yield folder


@contextmanager
def after_a_cut(image: Path, folder: Path) -> Iterator[Path]:
    """What is found when the power comes back after a cut at this instant, mounted on `folder`; the disk itself goes on."""
    # A file of its own for each cut: mount(8) takes a loop device that is still there for the same file, with what it had cached.
    with tempfile.NamedTemporaryFile(dir=image.parent, suffix=".cut") as copy:
        shutil.copyfile(image, copy.name)
        with _mounted(Path(copy.name), folder, "loop"):
            yield folder
