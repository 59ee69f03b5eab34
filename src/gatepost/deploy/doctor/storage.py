"""Checks of what Gatepost keeps: folders and their rights, room on the disk, keys, journal, quarantine.

Raises: `OSError` where a folder cannot be looked into; the doctor says so.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gatepost.deploy import storage
from gatepost.deploy.doctor.check import Machine, Seen, error, warning, well
from gatepost.journal.interface import JournalError
from gatepost.site.model import Site
from gatepost.system.files import remove, write_atomic
from gatepost.system.secret import SIZE as KEY_SIZE

LEAST_MAILS = 4
"""So many of the largest mails must find room on the disk."""

LOW = 0.05
"""The part of room or of inodes below which a disk is nearly full."""

LOCK_SECONDS = 2.0
AHEAD = 60.0
"""Seconds by which an event may lie in the future."""


def site_file(_site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether strangers may write the site file: whoever can, decides what is scanned."""
    if machine.site_file is None:
        return
    found = machine.site_file.stat()
    if found.st_mode & stat.S_IWOTH:
        yield error(f"everybody may write {machine.site_file} (mode {stat.S_IMODE(found.st_mode):04o})", f"chmod 644 {machine.site_file}")
    else:
        yield well(f"nobody else may write {machine.site_file}")


def folders(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether the folders are here, ours, and nobody else's to write."""
    for key, written, private in (("state", site.site.state, True), ("run", site.site.run, False)):
        path = Path(written)
        if path.is_dir():
            yield _folder(path, private=private)
        elif path.exists():
            yield error(f"{path} is not a folder", f"remove it, or name another folder as {key} in [site]")
        else:
            yield error(f"{path} is missing", "start the gateway once: it makes its folders; or correct the path in [site]")


def _folder(path: Path, *, private: bool) -> Seen:
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    needed = os.W_OK | os.X_OK if private or found.st_uid else os.X_OK  # sockets in a folder of root's are made by root
    if not os.access(path, needed):
        return error(f"{path} cannot be written by this user", f"chown it to the user that runs Gatepost: chown USER {path}")
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return error(f"everybody may write in {path} (mode {mode:04o})", f"chmod {0o700 if private else 0o755:o} {path}")
    shared = stat.S_IRWXO & ~stat.S_IXOTH if mode & stat.S_ISVTX else stat.S_IRWXG | stat.S_IRWXO
    if private and mode & shared:
        return warning(f"others may look into {path} (mode {mode:04o})", f"chmod 700 {path}")
    return well(f"{path} is here, mode {mode:04o}")


def room(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether there is room on the disk, in bytes and in inodes."""
    path = Path(site.site.state)
    if not path.is_dir():
        return
    found = os.statvfs(path)
    free, needed = found.f_bavail * found.f_frsize, LEAST_MAILS * site.mail.size_limit
    if free < needed:
        yield error(
            f"only {_megabytes(free)} are free below {path}; {_megabytes(needed)} are needed",
            "make room: gatepost quarantine list shows what is kept",
        )
    elif found.f_bavail < LOW * found.f_blocks:
        yield warning(f"only {_megabytes(free)} are free below {path}", "make room, or lower quarantine.size in the site file")
    else:
        yield well(f"{_megabytes(free)} are free below {path}")
    if found.f_files and found.f_favail < LOW * found.f_files:
        yield error(
            f"only {found.f_favail} more files fit on the disk of {path}", "remove small files, or make a file system with more inodes"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:,.0f} MiB"


def keys(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether the keys are whole, and secret."""
    folder = Path(site.site.state) / "keys"
    for path in sorted(folder.glob("*.key")):
        found = path.lstat()
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode) or found.st_size != KEY_SIZE:
            yield error(
                f"the key {path} is damaged: it must be a file of {KEY_SIZE} bytes",
                "restore it from a backup; kept mail cannot be read without it",
            )
        elif mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield error(f"others may read the key {path} (mode {mode:04o})", f"chmod 600 {path}, and think about making a new one")
        elif found.st_uid != folder.stat().st_uid:
            yield error(f"the key {path} belongs to user {found.st_uid}, and its folder to another", f"chown --reference={folder} {path}")
        else:
            yield well(f"the key {path.name} is whole and secret")


def journal(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether the journal is here, whole, not locked by a stranger, and not from the future."""
    path = Path(site.site.state) / "journal.sqlite"
    if not Path(site.site.state).is_dir():
        return
    try:
        looked = storage.journal(site).look()
    except JournalError as cause:
        what, _, remedy = str(cause).partition("; ")
        yield error(what, remedy or "restore it from the newest backup")
        return
    if not site.storage.url and _locked(path):
        yield error(f"another process holds the journal {path} locked", f"find it with fuser {path}, and end it")
    if looked.newest > machine.now() + AHEAD:
        yield warning("the newest event lies in the future: the clock was put back", "set the clock by NTP: timedatectl set-ntp true")
    yield well(f"{looked.events} events, none missing")


def _locked(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
    return False


def quarantine(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether the quarantine can be written and synced."""
    folder = Path(site.site.state) / "quarantine"
    if not Path(site.site.state).is_dir():
        return
    if folder.exists() and not folder.is_dir():
        yield error(f"{folder} is not a folder: no mail can be kept", "remove it; the gateway makes it anew")
        return
    probe = (folder if folder.is_dir() else folder.parent) / f".doctor-{secrets.token_hex(4)}"
    try:
        write_atomic(probe, b"probe")
        remove(probe)
    except OSError as cause:
        yield error(
            f"nothing can be kept in {probe.parent}: {cause.strerror}", "is the disk full or read-only, and may this user write there?"
        )
    else:
        yield well(f"mail can be kept in {folder}")
