"""Backup: everything of a site that must not be lost, as one tar stream with a manifest at its end; and back from it.

What it does: copies the site file, the files that it names and the whole state while the gateway runs (databases by SQLite's own backup,
the journal first, so that whatever it names is copied after it), and unpacks into a folder beside the state, proves it, and only then
exchanges the two in one step.
Not its job: encryption (`gatepost.system.age`), asking people.
Raises: `BackupError` with a remedy, `JournalError` for a journal that is not whole, `OSError`.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import sqlite3
import stat
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from gatepost import __version__
from gatepost.journal.store import SqliteJournal
from gatepost.site.model import Site
from gatepost.system.files import exchange, make_directory, read, sync_directory, write_atomic

ABOUT, SITE, STATE, FILES, SUMS = "ABOUT.json", "site.toml", "state", "files", "SHA256SUMS"
JOURNAL = "journal.sqlite"
SQLITE = b"SQLite format 3\0"
BLOCK = 1 << 20
LARGEST_FILE = 64 * BLOCK
"""Bytes of a file that the site file names; a larger one is data of somebody else."""

_LEFT_OUT = re.compile(r"\..*\.[0-9a-f]{16}|.*-(?:wal|shm|journal)|.*\.anchor")
"""Half-written files, and what belongs to a database as it runs; the copy of the journal gets an anchor of its own."""


class BackupError(Exception):
    """It was not done; nothing was changed."""


class About(msgspec.Struct, frozen=True):
    """What a backup says of itself: who made it when (seconds since the epoch), of which site with its state where, events in the journal."""

    version: str
    made: float
    site: str
    state: str
    events: int


@dataclass(slots=True)
class _Sink:
    """Adds files to an archive, and remembers their digests."""

    archive: tarfile.TarFile
    digests: dict[str, str]

    def file(self, source: Path, name: str, like: Path | None = None) -> None:
        """Add a file, with owner and mode of `like`; what has gone meanwhile is left out."""
        try:
            with source.open("rb") as opened:
                info = self.archive.gettarinfo(name=str(like or source), arcname=name)
                info.size = os.fstat(opened.fileno()).st_size
                reader = _Hashed(opened)
                self.archive.addfile(info, reader)
        except FileNotFoundError:
            return
        self.digests[name] = reader.digest.hexdigest()

    def content(self, data: bytes, name: str, now: float) -> None:
        """Add what we write ourselves."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = len(data), int(now), 0o600
        self.archive.addfile(info, io.BytesIO(data))
        self.digests[name] = hashlib.sha256(data).hexdigest()

    def other(self, source: Path, name: str) -> None:
        """Add a folder or a symbolic link."""
        self.archive.addfile(self.archive.gettarinfo(name=str(source), arcname=name))


class _Hashed(io.RawIOBase):
    """A file whose digest is known when it was read."""

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__()
        self._source = source
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._source.read(size)
        self.digest.update(data)
        return data


def write(site: Site, site_file: Path, target: BinaryIO, now: float) -> About:
    """Write the backup of a site to `target`; the gateway may run meanwhile."""
    state = Path(site.site.state)
    with (
        tempfile.TemporaryDirectory(prefix="gatepost-backup-") as folder,
        tarfile.open(fileobj=target, mode="w|", bufsize=BLOCK) as archive,
    ):
        sink = _Sink(archive, {})
        events = 0 if site.storage.url else _copy_journal(state, Path(folder))
        about = About(__version__, now, site.site.name, str(state), events)
        sink.content(msgspec.json.encode(about), ABOUT, now)
        for name in (JOURNAL, f"{JOURNAL}.anchor") if events else ():
            sink.file(Path(folder) / name, f"{STATE}/{name}", state / JOURNAL)
        sink.file(site_file, SITE)
        for path in _named(site):
            sink.file(path, f"{FILES}{path}")
        for path in _tree(state):
            _add(sink, path, f"{STATE}/{path.relative_to(state)}", Path(folder))
        sums = "".join(f"{digest}  {name}\n" for name, digest in sink.digests.items())
        sink.content(sums.encode(), SUMS, now)
    return about


def _copy_journal(state: Path, folder: Path) -> int:
    """The journal as it is at one moment, with an anchor that fits, every link checked; gives how many events it has."""
    if not (state / JOURNAL).exists():
        return 0
    _copy_database(state / JOURNAL, folder / JOURNAL)
    journal = SqliteJournal(folder / JOURNAL)
    events = journal.verify().events
    journal.close()
    return events


def _copy_database(source: Path, copy: Path) -> None:
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as before, closing(sqlite3.connect(copy)) as after:
        before.backup(after)


def _tree(folder: Path) -> Iterator[Path]:
    """Everything below a folder, parents first, but what is half-written and the journal."""
    for path in sorted(folder.rglob("*")):
        if not _LEFT_OUT.fullmatch(path.name) and path != folder / JOURNAL:
            yield path


def _add(sink: _Sink, path: Path, name: str, folder: Path) -> None:
    if path.is_symlink() or path.is_dir():
        sink.other(path, name)
    elif path.is_file():
        if _begins(path) == SQLITE:
            copy = folder / "other.sqlite"
            _copy_database(path, copy)
            sink.file(copy, name, path)
            copy.unlink()
        else:
            sink.file(path, name)


def _begins(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE))
    except FileNotFoundError:
        return b""


def _named(site: Site) -> list[Path]:
    """The files outside the state that the site file names: certificates, rules, lists of recipients."""
    found = {Path(text) for text in _texts(site.model_dump()) if text.startswith("/")}
    state = Path(site.site.state)
    return sorted(path for path in found if path.is_file() and state not in path.parents and path.stat().st_size <= LARGEST_FILE)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def check(source: BinaryIO) -> About:
    """Read a whole backup and prove every file of it, without writing anything."""
    found: dict[str, str] = {}
    about = sums = b""
    with _opened(source) as archive:
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)) is not None:
                kept = file.read() if member.name in {ABOUT, SUMS} else b""
                about, sums = (kept, sums) if member.name == ABOUT else (about, kept or sums)
                found[member.name] = hashlib.sha256(kept).hexdigest() if kept else _digest(file)
    _compare(sums, found)
    return _about(about)


@contextmanager
def _opened(source: BinaryIO) -> Iterator[tarfile.TarFile]:
    """The archive in a stream; whatever is wrong with it is one error."""
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=BLOCK) as archive:
            yield archive
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise BackupError(f"the backup is damaged or cut off: {error}") from None


def _compare(sums: bytes, found: Mapping[str, str]) -> None:
    """Prove that what was found is what was written."""
    lines = (line.partition("  ") for line in sums.decode("utf-8", "replace").splitlines())
    wanted = {name: digest for digest, _, name in lines}
    if not wanted:
        raise BackupError(f"the backup is cut off: it has no {SUMS}, which is written last")
    wrong = sorted(name for name in wanted.keys() | (found.keys() - {SUMS}) if wanted.get(name) != found.get(name))
    if wrong:
        raise BackupError(f"the backup is damaged: {wrong[0]} is not what was written")


def _about(content: bytes) -> About:
    try:
        return msgspec.json.decode(content, type=About)
    except msgspec.MsgspecError as error:
        raise BackupError(f"the backup is damaged: {ABOUT}: {error}") from None


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: what the backup says of itself, and what was kept of before."""

    about: About
    kept: tuple[Path, ...]


def restore(source: BinaryIO, site_file: Path, *, force: bool, now: float) -> Restored:
    """Put a backup in place. Killed at any moment, the state is the old one or the new one; run it again to finish.

    Without `force` nothing that is there and differs is touched. With it, what was there is kept beside, with the time in its name.
    """
    with _opened(source) as archive:
        first = archive.next()
        head = archive.extractfile(first) if first is not None and first.name == ABOUT else None
        if head is None:
            raise BackupError("this is no backup of Gatepost")
        content = head.read()
        about = _about(content)
        state = Path(about.state)
        staging = state.with_name(f".{state.name}.restoring")
        shutil.rmtree(staging, ignore_errors=True)
        make_directory(state.parent, 0o755)
        staging.mkdir(0o700)
        try:
            _unpack(archive, staging, {ABOUT: hashlib.sha256(content).hexdigest()})
            _prove_journal(staging / STATE)
            _demand_room(staging, site_file, state, force=force)
            stamp = time.strftime("before-%Y%m%dT%H%M%SZ", time.gmtime(now))
            kept = (*_place_files(staging, site_file, stamp, force=force), *_place_state(staging / STATE, state, stamp))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return Restored(about, kept)


def _unpack(archive: tarfile.TarFile, folder: Path, found: dict[str, str]) -> None:
    """Unpack the rest of an archive, and prove every file of it."""
    (folder / STATE).mkdir(0o700)
    while (member := archive.next()) is not None:
        archive.extract(_only_below(member, folder), folder)
        if member.isfile():
            with (folder / member.name).open("rb") as file:
                found[member.name] = _digest(file)
    _compare(read(folder / SUMS) if SUMS in found else b"", found)


def _only_below(member: tarfile.TarInfo, folder: Path) -> tarfile.TarInfo:
    """Refuse what would be written or lead outside the folder, and what is no file, folder or link. Debian 12's tarfile has no rule of its own."""
    home, place = folder.resolve(), folder / member.name
    leads = (place.parent / member.linkname if member.issym() else folder / member.linkname).resolve()
    inside = place.parent.resolve().is_relative_to(home) and ".." not in place.parts and not Path(member.name).is_absolute()
    if not inside or not leads.is_relative_to(home) or not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise tarfile.ReadError(f"{member.name} would lead outside")
    return member


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _prove_journal(state: Path) -> None:
    if (state / JOURNAL).exists():
        SqliteJournal(state / JOURNAL, writes=False).verify()
    for left in state.glob(f"{JOURNAL}-*"):
        left.unlink()


def _demand_room(staging: Path, site_file: Path, state: Path, *, force: bool) -> None:
    """Say what would be overwritten."""
    if force:
        return
    if state.is_dir() and any(state.iterdir()):
        raise BackupError(f"{state} is not empty; --force puts the backup in its place and keeps what is there beside it")
    if site_file.exists() and read(site_file) != read(staging / SITE):
        raise BackupError(f"{site_file} is there and differs from the backup; --force replaces it and keeps it beside")


def _place_files(staging: Path, site_file: Path, stamp: str, *, force: bool) -> Iterator[Path]:
    """The site file and the files that it names; of the latter only what is missing, unless `force`. Gives what was kept of before."""
    wanted = [(staging / SITE, site_file)]
    wanted += [(path, Path("/") / path.relative_to(staging / FILES)) for path in (staging / FILES).rglob("*") if path.is_file()]
    for source, target in wanted:
        if target.exists():
            if read(target) == read(source) or (target != site_file and not force):
                continue
            kept = _beside(target, stamp)
            write_atomic(kept, read(target), stat.S_IMODE(target.stat().st_mode))
            yield kept
        make_directory(target.parent, 0o755)
        found = source.stat()
        write_atomic(target, read(source), stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid) if os.geteuid() == 0 else None)


def _place_state(source: Path, state: Path, stamp: str) -> Iterator[Path]:
    """Put the new state where the old one is, in one step; gives where the old one is kept."""
    if state.is_dir():
        shutil.copystat(state, source)
    os.sync()
    if not state.exists():
        source.rename(state)
        sync_directory(state.parent)
        return
    beside = _beside(state, stamp)
    source.rename(beside)
    exchange(beside, state)
    sync_directory(state.parent)
    if any(beside.iterdir()):
        yield beside
    else:
        beside.rmdir()


def _beside(path: Path, stamp: str) -> Path:
    """A free name for what was there before."""
    names = (path.with_name(f"{path.name}.{stamp}{more}") for more in ("", *(f"-{number}" for number in range(2, 1000))))
    return next(name for name in names if not name.exists())
