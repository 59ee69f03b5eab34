"""The keeper at its edges: asked twice, asked too late, with its journal locked, with a clock that jumps."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.support.ports import wait_for

from gatepost.journal.interface import JournalError, Query
from gatepost.mail.model import Decision, Direction, Disposition, Envelope, Finding, Kind, Reply, Verdict
from gatepost.services import keeperd
from gatepost.services.keeper import Keeper, KeeperError
from gatepost.services.keeperd import Keeperd
from gatepost.services.messages import Done, Record
from gatepost.site.load import loads
from gatepost.site.model import Site

CONTENT = b"Subject: kept\r\n\r\nMZ\r\n"
BANNED = Finding(Kind.BANNED, "program", source="banned")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return loads(
        f'[site]\nname = "Test"\nstate = "{tmp_path}/state"\nrun = "{tmp_path}/run"\n'
        '[zones.internet]\nexternal = true\n[mail]\ndomains = ["widget.example"]\nnext_hop = "127.0.0.1:9"\n'
    )


def record(identifier: str = "1A2B", *, at: float | None = None) -> Record:
    decision = Decision("bob@widget.example", Direction.INBOUND, Disposition.QUARANTINE, "default.banned.inbound", (BANNED,))
    verdict = Verdict(findings=(BANNED,), digest=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT))
    envelope = Envelope("carol@partner.example", ("bob@widget.example",))
    return Record(identifier, at or time.time(), envelope, verdict, (decision,), Reply(250, "2.0.0", "kept"), handed_on=False, keep=True)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "spool").write_bytes(CONTENT)
    descriptor = os.open(tmp_path / "spool", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def keeper(site: Site, tmp_path: Path) -> Iterator[Callable[[], int]]:
    """Start a real keeper at `keep.sock`; gives its process."""
    started: list[int] = []

    def start() -> int:
        (tmp_path / "keep.sock").unlink(missing_ok=True)
        pid = os.fork()
        if not pid:
            try:
                keeperd.run(site, tmp_path / "keep.sock")
            finally:
                os._exit(0)
        started.append(pid)
        wait_for((tmp_path / "keep.sock").exists, "the keeper")
        return pid

    yield start
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def ask(path: Path, *requests: Record, spool: int, patience: float = 10.0) -> list[Done | str]:
    """The answers to requests that are asked side by side; a refusal as its words."""

    async def one(client: Keeper, request: Record) -> Done | str:
        try:
            answer = await client.ask(request, spool)
        except KeeperError as error:
            return str(error)
        assert isinstance(answer, Done)
        return answer

    async def every() -> list[Done | str]:
        client = Keeper(path / "keep.sock", patience)
        answers = await asyncio.gather(*(one(client, request) for request in requests))
        client.close()
        return answers

    return asyncio.run(every())


def test_killed_between_its_commit_and_its_answer_the_next_keeper_gives_the_same_answer(
    keeper: Callable[[], int], site: Site, tmp_path: Path, spool: int
) -> None:
    """The front cannot know whether the dead keeper came to its commit, so it asks the next one the same again."""
    asked = record()
    first = keeper()
    before = ask(tmp_path, asked, spool=spool)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    keeper()

    assert ask(tmp_path, asked, spool=spool) == before
    assert isinstance(before[0], Done)
    assert before[0].receipt
    journal = Keeperd(site).journal
    assert len(journal.search(Query())) == 1


def test_a_front_that_asks_twice_beside_others_spoils_nothing(keeper: Callable[[], int], tmp_path: Path, spool: int) -> None:
    keeper()
    twice, other = record("1A"), record("1B")

    first, second, third = ask(tmp_path, twice, twice, other, spool=spool)

    assert first == second
    assert isinstance(first, Done)
    assert isinstance(third, Done)


def test_what_the_front_gave_up_is_not_written_when_the_keeper_wakes(
    keeper: Callable[[], int], site: Site, tmp_path: Path, spool: int
) -> None:
    pid = keeper()
    os.kill(pid, signal.SIGSTOP)
    assert "did not answer" in str(ask(tmp_path, record("1A"), spool=spool, patience=0.3)[0])
    os.kill(pid, signal.SIGCONT)

    assert isinstance(ask(tmp_path, record("1B"), spool=spool)[0], Done)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    assert [row.id for row in Keeperd(site).journal.search(Query())] == ["1B"]


def test_a_front_out_of_descriptors_reaches_the_keeper_as_soon_as_it_has_some(
    keeper: Callable[[], int], tmp_path: Path, spool: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket

    def full(*_: object) -> None:
        raise OSError(24, "Too many open files")

    async def scenario() -> object:
        client = Keeper(tmp_path / "keep.sock", 5.0)
        monkeypatch.setattr(socket, "socket", full)
        question = asyncio.ensure_future(client.ask(record(), spool))
        await asyncio.sleep(0.3)
        monkeypatch.setattr(socket, "socket", real)
        answer = await question
        client.close()
        return answer

    keeper()
    assert isinstance(asyncio.run(scenario()), Done)


def test_with_the_journal_locked_a_whole_group_is_put_off_after_one_attempt(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt waits for the lock: one for each request would take longer than the front waits."""
    attempts = 0

    def locked(*_: object, **__: object) -> None:
        nonlocal attempts
        attempts += 1
        raise JournalError("locked", "another process holds it")

    async def both() -> list[object]:
        server = Keeperd(site)
        monkeypatch.setattr(server.journal, "append", locked)
        listener = keeperd.listen_unix(tmp_path / "keep.sock")
        asyncio.get_running_loop().add_reader(listener, lambda: server.connect(listener.accept()[0]))
        client = Keeper(tmp_path / "keep.sock", 5.0)
        answers = await asyncio.gather(
            *(client.ask(msgspec.structs.replace(record(f"1{n}"), keep=False)) for n in range(8)), return_exceptions=True
        )
        client.close()
        listener.close()
        return list(answers)

    answers = asyncio.run(both())

    assert {str(answer) for answer in answers} == {"another process holds it"}
    assert attempts < 8


def test_nothing_expires_while_the_clock_is_wrong(site: Site, spool: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def keep() -> tuple[int, int]:
        server = Keeperd(site)
        asked = keeperd._Asked(_Nobody(), keeperd.Numbered(1, record()), os.dup(spool))  # type: ignore[arg-type]
        server._write([asked])
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 10 * 365 * 86_400)
        server.expire()
        after_jump = len(server._quarantine.rows())
        monkeypatch.setattr(time, "time", real)
        server._site = site.model_copy(update={"quarantine": site.quarantine.model_copy(update={"keep": 0.0})})
        server.expire()
        return after_jump, len(server._quarantine.rows())

    assert asyncio.run(keep()) == (1, 0)


class _Nobody:
    closed = True


def test_content_is_not_removed_between_a_new_mails_file_and_its_event(site: Site, spool: int) -> None:
    """Two mails have the same content; the first is deleted at the moment when the second is written down."""

    async def race() -> tuple[bool, bytes]:
        server = Keeperd(site)
        quarantine = server._quarantine
        server._write([keeperd._Asked(_Nobody(), keeperd.Numbered(1, record("1A")), os.dup(spool))])  # type: ignore[arg-type]
        with quarantine.lock:
            quarantine.keep(memoryview(CONTENT))
            deletion = asyncio.get_running_loop().run_in_executor(None, quarantine.delete, "1A", "bob@widget.example", "test")
            await asyncio.sleep(0.2)
            waits = not deletion.done()
            server.journal.append([server._event(record("1B"))], sync=True)
        await deletion
        return waits, quarantine.content("1B")

    assert asyncio.run(race()) == (True, CONTENT)


def test_a_keeper_that_cannot_start_says_why_in_one_line(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/journal.sqlite").write_bytes(b"no database at all, not even close" * 100)

    with pytest.raises(SystemExit):
        keeperd.run(site, tmp_path / "keep.sock")

    (line,) = [message for message in caplog.messages if "the keeper cannot start" in message]
    assert "restore the newest backup" in line
