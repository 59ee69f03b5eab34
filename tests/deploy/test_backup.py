"""A backup is whole or refused; a restore leaves the old state or the new one, whenever it is killed."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.journal import judged

from gatepost.deploy import backup
from gatepost.deploy.backup import BackupError
from gatepost.journal.event import Event
from gatepost.journal.store import SqliteJournal
from gatepost.site.load import load

SITE = """
[site]
name = "Test"
state = "{home}/state"
run = "{home}/run"
[mail]
domains = ["widget.example"]
next_hop = "mail.widget.example:25"
[engines.hashes]
lists = ["{home}/bad.txt"]
"""
NOW = 1_790_000_000.0


def fill(home: Path, word: str) -> None:
    """A state with everything of which there is a kind: journal, another database, keys, kept mail, a link, what is half-written."""
    state = home / "state"
    for folder in ("keys", "quarantine/aa", "signatures/own/set-1"):
        (state / folder).mkdir(parents=True, mode=0o700)
    journal = SqliteJournal(state / "journal.sqlite")
    journal.append([judged(number) for number in range(20)] + [Event(1.0, "marker", word)], sync=True)
    journal.close()
    with sqlite3.connect(state / "console.sqlite") as other:
        other.execute("CREATE TABLE words (word)")
        other.execute("INSERT INTO words VALUES (?)", (word,))
    other.close()
    (state / "keys/quarantine.key").write_bytes(word.encode().ljust(32))
    (state / "keys/quarantine.key").chmod(0o600)
    (state / "quarantine/aa" / ("aa" * 32)).write_text(word)
    (state / "signatures/own/set-1/.about.json").write_text("{}")
    (state / "signatures/own/current").symlink_to("set-1")
    (state / f".alerts.json.{'0' * 16}").write_text("half")
    (home / "bad.txt").write_text(f"# {word}\n")
    (home / "site.toml").write_text(SITE.format(home=home))


def made(home: Path) -> bytes:
    target = io.BytesIO()
    backup.write(load(home / "site.toml"), home / "site.toml", target, NOW)
    return target.getvalue()


def word_of(state: Path) -> str:
    """Which state this is; fails where it is not whole."""
    journal = SqliteJournal(state / "journal.sqlite", writes=False)
    journal.verify()
    (word,) = {event.subject for _, event in journal.events(kind="marker")}
    with sqlite3.connect(state / "console.sqlite") as other:
        assert other.execute("SELECT word FROM words").fetchall() == [(word,)]
    other.close()
    assert (state / "keys/quarantine.key").read_bytes() == word.encode().ljust(32)
    assert (state / "quarantine/aa" / ("aa" * 32)).read_text() == word
    assert (state / "signatures/own/current/.about.json").read_text() == "{}"
    return word


def gone(home: Path) -> None:
    for name in ("state", "site.toml", "bad.txt"):
        (home / name).rename(home / f"{name}.away")


def test_an_empty_host_gets_everything_back(tmp_path: Path) -> None:
    fill(tmp_path, "first")
    content = made(tmp_path)
    gone(tmp_path)

    done = backup.restore(io.BytesIO(content), tmp_path / "site.toml", force=False, now=NOW)

    assert (done.about.events, done.kept) == (21, ())
    assert word_of(tmp_path / "state") == "first"
    assert (tmp_path / "state/keys/quarantine.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "bad.txt").read_text() == "# first\n"
    assert (tmp_path / "site.toml").read_text() == SITE.format(home=tmp_path)
    assert not list((tmp_path / "state").glob(".alerts*"))
    journal = SqliteJournal(tmp_path / "state/journal.sqlite")
    journal.append([judged(99)], sync=True)
    journal.close()


def test_a_backup_is_of_one_moment_while_the_journal_is_written(tmp_path: Path) -> None:
    fill(tmp_path, "first")
    journal, stop = SqliteJournal(tmp_path / "state/journal.sqlite"), threading.Event()

    def write() -> None:
        number = 100
        while not stop.is_set():
            journal.append([judged(number)], sync=False)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backups = [made(tmp_path) for _ in range(3)]
    finally:
        stop.set()
        writer.join()
        journal.close()
    for content in backups:
        assert backup.check(io.BytesIO(content)).events >= 21


def test_cut_off_anywhere_or_changed_it_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    fill(tmp_path, "first")
    content = made(tmp_path)
    gone(tmp_path)
    changed = content.index(b"first".ljust(32))
    spoilt = [content[:end] for end in range(0, len(content) - 20_480, 8191)] + [content[:changed] + b"F" + content[changed + 1 :]]

    for one in spoilt:
        for act in (lambda one=one: backup.check(io.BytesIO(one)), lambda one=one: restored(tmp_path, one)):
            with pytest.raises(BackupError):
                act()
        assert not (tmp_path / "state").exists()
        assert not (tmp_path / "site.toml").exists()


def restored(home: Path, content: bytes, *, force: bool = False) -> backup.Restored:
    return backup.restore(io.BytesIO(content), home / "site.toml", force=force, now=NOW)


def test_nothing_is_overwritten_without_force_and_with_it_the_old_is_kept(tmp_path: Path) -> None:
    fill(tmp_path, "first")
    content = made(tmp_path)
    gone(tmp_path)
    fill(tmp_path, "second")
    with pytest.raises(BackupError, match="state is not empty; --force"):
        restored(tmp_path, content)
    assert word_of(tmp_path / "state") == "second"

    (kept,) = {path for path in restored(tmp_path, content, force=True).kept if path.is_dir()}

    assert word_of(tmp_path / "state") == "first"
    assert word_of(kept) == "second"
    assert (tmp_path / "bad.txt.before-20260921T141320Z").read_text() == "# second\n"


def test_a_site_file_that_differs_is_not_overwritten(tmp_path: Path) -> None:
    fill(tmp_path, "first")
    content = made(tmp_path)
    (tmp_path / "state").rename(tmp_path / "away")
    (tmp_path / "site.toml").write_text("[site]\nname = 'other'\n")

    with pytest.raises(BackupError, match=r"site\.toml is there and differs"):
        restored(tmp_path, content)


def test_an_archive_that_leads_outside_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "first")
    (tmp_path / "state/leads-out").symlink_to("/etc")
    content = made(tmp_path)
    gone(tmp_path)

    with pytest.raises(BackupError, match="damaged"):
        restored(tmp_path, content)


CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.symlink", "open", "ctypes.dlsym", "shutil.rmtree"}


def killed_at(step: int, act: Callable[[], object]) -> bool:
    """Do it in a child that is killed before its `step`-th change of the file system; whether it came to its end before."""
    child = os.fork()
    if not child:
        count = 0

        def hook(event: str, _arguments: object) -> None:
            nonlocal count
            if event in CHANGES:
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            act()
        finally:
            os._exit(0)
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_step_the_state_is_the_old_one_or_the_new_one_and_again_finishes(tmp_path: Path) -> None:
    fill(tmp_path, "first")
    content = made(tmp_path)
    gone(tmp_path)
    fill(tmp_path, "second")
    seen = set()
    for step in range(1, 2000, 3):
        ended = killed_at(step, lambda: restored(tmp_path, content, force=True))
        seen.add(word_of(tmp_path / "state"))
        if ended:
            break
    assert ended
    assert step > 60
    assert seen == {"second", "first"}
    restored(tmp_path, content, force=True)
    assert word_of(tmp_path / "state") == "first"
    assert not list(tmp_path.glob(".state.restoring"))
