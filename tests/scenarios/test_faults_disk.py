"""Disks that are full or read-only, a journal that is locked, gone or damaged: what cannot be promised is put off, and all comes once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway
from tests.support.judge import SOUND
from tests.support.ports import wait_for
from tests.support.traffic import BANNED, CLEAN
from tests.support.ways import StartWay, start_way

__all__ = ["start_way"]

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("as_root")]


@pytest.fixture
def small_disk(home: Path) -> Iterator[Callable[[str, str], Path]]:
    """Mount a small disk below the first gateway's folder."""
    mounted: list[Path] = []

    def mount(below: str, size: str) -> Path:
        folder = home / "gateway-0" / below
        folder.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill the disk to the last byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            return filler


@pytest.mark.parametrize("name", ["proxy", pytest.param("postfix", marks=pytest.mark.faults)])
def test_with_the_quarantines_disk_full_only_mail_that_must_be_kept_waits(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, small_disk: Callable[[str, str], Path]
) -> None:
    disk = small_disk("state/quarantine", "300k")
    running = gateway()
    way = start_way(name, running)
    filler = fill(disk)

    assert way.traffic.send([way.traffic.write(BANNED) for _ in range(4)]) == [451] * 4
    assert way.traffic.send([way.traffic.write(CLEAN) for _ in range(4)]) == [250] * 4
    assert "No space left on device" in running.log()
    filler.unlink()
    way.traffic.settle()

    assert way.judge() == SOUND


@pytest.mark.faults
@pytest.mark.parametrize("name", ["proxy", "postfix"])
def test_with_the_quarantine_read_only_only_mail_that_must_be_kept_waits(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, small_disk: Callable[[str, str], Path]
) -> None:
    disk = small_disk("state/quarantine", "300k")
    running = gateway()
    way = start_way(name, running)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    assert way.traffic.send([way.traffic.write(BANNED), way.traffic.write(CLEAN)]) == [451, 250]
    assert "Read-only file system" in running.log()
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    way.traffic.settle()

    assert way.judge() == SOUND


@pytest.mark.faults
@pytest.mark.parametrize("name", ["proxy", "postfix"])
def test_with_the_whole_state_full_every_mail_waits(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, small_disk: Callable[[str, str], Path]
) -> None:
    disk = small_disk("state", "8m")
    running = gateway()
    way = start_way(name, running)
    way.traffic.send(way.traffic.mixed(4))
    filler = fill(disk)
    mails = way.traffic.mixed(60)
    answers = way.traffic.send(mails)
    filler.unlink()
    way.traffic.settle()

    assert set(answers) <= {250, 550, 451}
    assert 451 in answers
    assert way.judge() == SOUND


@pytest.mark.faults
@pytest.mark.parametrize("name", ["proxy", "postfix"])
def test_with_the_journal_locked_mail_waits_or_is_put_off(name: str, gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    running = gateway()
    way = start_way(name, running)
    lock = sqlite3.connect(running.home / "state/journal.sqlite", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    answers = way.traffic.send(way.traffic.mixed(8))
    lock.execute("ROLLBACK")
    lock.close()
    way.traffic.settle()

    assert set(answers) == {451}
    assert "locked" in running.log()
    assert way.judge() == SOUND


@pytest.mark.faults
@pytest.mark.parametrize("name", ["proxy", "postfix"])
def test_with_the_journal_taken_away_nothing_is_promised_until_it_is_back(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, home: Path
) -> None:
    running = gateway()
    way = start_way(name, running)
    way.traffic.send(way.traffic.mixed(8))
    files = [running.home / f"state/journal.sqlite{end}" for end in ("", "-wal", "-shm")]
    for file in files:
        file.rename(home / file.name)

    answers = way.traffic.send(way.traffic.mixed(8))

    for file in files:
        (home / file.name).rename(file)
    way.traffic.settle()
    assert set(answers) == {451}
    assert "is gone" in running.log()
    assert way.judge() == SOUND
    assert len(running.rows()) >= 16


@pytest.mark.faults
@pytest.mark.parametrize("name", ["proxy", "postfix"])
def test_with_the_journal_damaged_the_keeper_does_not_start_and_says_what_to_do(
    name: str, gateway: Callable[..., Gateway], start_way: StartWay, home: Path
) -> None:
    running = gateway()
    way = start_way(name, running)
    way.traffic.send(way.traffic.mixed(8))
    path = running.home / "state/journal.sqlite"
    (keeper,) = running.children("keeper")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    good = path.read_bytes()
    path.write_bytes(os.urandom(4096) + good[4096:])
    os.kill(keeper, signal.SIGKILL)

    assert set(way.traffic.send([way.traffic.write(CLEAN) for _ in range(4)])) == {451}
    assert "restore the newest backup" in running.log()
    path.write_bytes(good)
    wait_for(lambda: running.children("keeper"), "the keeper")
    time.sleep(1)
    way.traffic.settle()

    assert way.judge() == SOUND
