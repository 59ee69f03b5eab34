"""ClamAV's library in process: the same verdicts as clamd, without its second reading of plain mail."""

from __future__ import annotations

import base64
import gzip
import os
import time
from ctypes.util import find_library
from pathlib import Path

import pytest
from tests.support.clamd import write_signatures
from tests.support.eicar import EICAR

from gatepost.mail.engines.libclamav import Libclamav
from gatepost.mail.inspect.content import Piece
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Envelope, Finding, Kind, Message, Outline, Part

pytestmark = pytest.mark.skipif(find_library("clamav") is None, reason="needs libclamav (Debian package libclamav12)")
HEAD = b"Received: from a by b; Mon, 23 Nov 2026 00:00:00 +0000\r\nFrom: a@example.org\r\nTo: b@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
ENCODED = HEAD + b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(EICAR)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("db")
    write_signatures(folder)
    (folder / "mail.ndb").write_text(f"Test.MailOnly:4:*:{b'only-in-mail'.hex()}\n")
    return str(folder)


@pytest.fixture(scope="module")
def engine(database: str) -> Libclamav:
    return Libclamav("libclamav", {"database": database})


def inspect(engine: Libclamav, message: Message) -> tuple[Finding, ...]:
    return engine.inspect(message, Envelope("", ()), time.monotonic() + 30)


def test_it_finds_in_raw_mail_parts_and_containers(engine: Libclamav):
    """EICAR plain, as a part, and in a container that only the library opens."""
    found = inspect(engine, Message(HEAD + b"\r\n" + EICAR, (Part("2", gzip.compress(EICAR)),)))

    assert [(finding.kind, finding.name, finding.part) for finding in found] == [
        (Kind.VIRUS, "Test.EICAR.UNOFFICIAL", ""),
        (Kind.VIRUS, "Test.EICAR.UNOFFICIAL", "2"),
    ]
    assert inspect(engine, Message(HEAD + b"\r\n" + EICAR[:-1], (Part("2", gzip.compress(EICAR[1:])),))) == ()


def test_mail_that_is_not_plain_is_read_by_the_library_too(engine: Libclamav, database: str):
    """The library decodes the raw mail itself unless the mail is plain; then its parts are ours to give."""
    always = Libclamav("libclamav", {"database": database, "mail_reader": "always"})

    assert inspect(engine, Message(ENCODED))
    assert inspect(always, Message(ENCODED, plain=True))
    assert inspect(engine, Message(ENCODED, plain=True)) == ()  # shows that the reader is off
    assert inspect(engine, Message(ENCODED, (Part("1", EICAR),), plain=True))


def test_an_outline_is_given_in_place_of_the_mail(engine: Libclamav, database: str):
    """The library sees the outline and the parts; with its reader always on it sees the whole mail as it is."""
    always = Libclamav("libclamav", {"database": database, "mail_reader": "always"})
    outlined = Message(ENCODED, (Part("1", EICAR),), plain=True, outline=Outline(HEAD, frozenset({"1"})))

    assert [(piece.path, piece.as_mail) for piece in engine.select(outlined)] == [("", False), ("1", False)]
    assert [found.part for found in inspect(engine, outlined)] == ["1"]
    assert always.select(outlined)[0] == Piece("", ENCODED, as_mail=True)


def test_signatures_for_mail_match_with_the_reader_off(engine: Libclamav):
    """What a signature says about raw mail files holds for plain mail."""
    (found,) = inspect(engine, Message(HEAD + b"\r\nonly-in-mail\r\n", plain=True))

    assert found.name == "Test.MailOnly.UNOFFICIAL"


def test_over_its_limits_is_unchecked(database: str):
    """Content over max_size, or that unpacks to more, is UNCHECKED and never clean."""
    engine = Libclamav("libclamav", {"database": database, "max_size": 100_000})
    (large,) = inspect(engine, Message(b"a" * 100_001))
    (expanding,) = inspect(engine, Message(gzip.compress(b"a" * 2_000_000)))

    assert (large.kind, large.name) == (Kind.UNCHECKED, "engine-size-limit")
    assert expanding.kind is Kind.UNCHECKED


def test_forked_workers_share_what_was_preloaded(database: str, monkeypatch: pytest.MonkeyPatch):
    """After preload a forked child scans without reading the signatures again."""
    Libclamav.preload({"database": database})
    hidden = Path(database).rename(database + "-gone")
    try:
        child = os.fork()
        if not child:
            found = inspect(Libclamav("libclamav", {"database": database}), Message(EICAR))
            os._exit(0 if len(found) == 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        hidden.rename(database)


def test_missing_or_broken_signatures_are_an_error(tmp_path: Path):
    """No directory, no signatures, a damaged set: each is an error at start."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.ndb").write_text("not a signature\n")
    for name in ("absent", "empty", "bad"):
        with pytest.raises(EngineError, match=name):
            Libclamav("libclamav", {"database": str(tmp_path / name)})
