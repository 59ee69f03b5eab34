"""The pool of scan workers: real worker processes, scripted examination."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.mail.model import Buffer, Direction, Envelope, Finding, Kind, Verdict
from gatepost.mail.receive.spool import Spool
from gatepost.services import scand
from gatepost.services.scanners import SMALL, OverloadError, Scanners
from gatepost.system.channel import AsyncChannel

ENVELOPE = Envelope("a@example.org", ("b@example.org",))


def examine(raw: Buffer, envelope: Envelope, directions: frozenset[Direction]) -> Verdict:
    """Does what the mail says."""
    order = bytes(raw[:20]).split(b"\n")[0]
    if order == b"die":
        os._exit(1)
    if order == b"hang":
        time.sleep(60)
    if order == b"slow":
        time.sleep(0.5)
    if order == b"raise":
        raise ValueError("broken")
    return Verdict(findings=(), size=len(raw), subject=order.decode())


class Workers:
    """Real worker processes, and one that starts again when it died."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pids: list[int] = []

    def start(self, seconds: float = 5.0) -> None:
        pid = os.fork()
        if not pid:
            try:
                scand.work(scand.connect(self.path), examine, seconds)
            finally:
                os._exit(0)
        self.pids.append(pid)

    def stop(self) -> None:
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    group = Workers(tmp_path / "scan.sock")
    yield group
    group.stop()


def spool(content: bytes) -> Spool:
    mail = Spool()
    mail.write(content)
    return mail


def names(verdict: Verdict) -> list[str]:
    return [finding.name for finding in verdict.findings]


def test_every_mail_gets_its_own_verdict_from_two_workers(workers: Workers) -> None:
    async def scenario() -> list[Verdict]:
        scanners = Scanners(workers.path)
        scanners.listen()
        workers.start()
        workers.start()
        verdicts = await asyncio.gather(*(scanners.scan(ENVELOPE, spool(b"mail %d\n" % number)) for number in range(50)))
        scanners.close()
        return verdicts

    verdicts = asyncio.run(scenario())

    assert [f"mail {number}" for number in range(50)] == [verdict.subject for verdict in verdicts]


def test_a_failure_inside_the_worker_is_unchecked_and_the_worker_lives_on(workers: Workers) -> None:
    async def scenario() -> tuple[Verdict, Verdict]:
        scanners = Scanners(workers.path)
        scanners.listen()
        workers.start()
        broken = await scanners.scan(ENVELOPE, spool(b"raise\n"))
        after = await scanners.scan(ENVELOPE, spool(b"fine\n"))
        scanners.close()
        return broken, after

    broken, after = asyncio.run(scenario())

    assert names(broken) == ["scanner-error"]
    assert broken.findings[0].kind == Kind.UNCHECKED
    assert after.findings == ()


def test_a_mail_that_kills_two_workers_is_poison_and_others_flow(workers: Workers) -> None:
    async def scenario() -> tuple[Verdict, Verdict]:
        scanners = Scanners(workers.path)
        scanners.listen()
        for _ in range(3):
            workers.start()
        poison = await scanners.scan(ENVELOPE, spool(b"die\n"))
        after = await scanners.scan(ENVELOPE, spool(b"fine\n"))
        scanners.close()
        return poison, after

    poison, after = asyncio.run(scenario())

    assert (Finding(Kind.UNCHECKED, "poison", source="gatepost", detail="2 scan workers died over this mail"),) == poison.findings
    assert after.subject == "fine"


def test_a_mail_over_its_time_kills_its_worker_only(workers: Workers) -> None:
    async def scenario() -> Verdict:
        scanners = Scanners(workers.path)
        scanners.listen()
        workers.start(seconds=0.2)
        workers.start(seconds=0.2)
        verdict = await scanners.scan(ENVELOPE, spool(b"hang\n"))
        scanners.close()
        return verdict

    assert names(asyncio.run(scenario())) == ["poison"]


def test_small_mails_pass_large_ones(workers: Workers) -> None:
    async def scenario() -> list[str]:
        scanners = Scanners(workers.path)
        scanners.listen()
        workers.start()
        workers.start()
        order: list[str] = []

        async def one(name: str, content: bytes) -> None:
            await scanners.scan(ENVELOPE, spool(content))
            order.append(name)

        large = [one("large", b"slow\n" + bytes(SMALL)) for _ in range(2)]
        small = [one("small", b"fine\n") for _ in range(5)]
        await asyncio.gather(*large, *small)
        scanners.close()
        return order

    assert asyncio.run(scenario())[:5] == ["small"] * 5


def test_beyond_the_queue_limit_the_next_mail_is_refused(workers: Workers) -> None:
    async def scenario() -> None:
        scanners = Scanners(workers.path, queue_limit=2)
        scanners.listen()
        waiting = [asyncio.create_task(scanners.scan(ENVELOPE, spool(b"x"))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadError):
            await scanners.scan(ENVELOPE, spool(b"x"))
        scanners.close()
        assert [names(verdict) for verdict in await asyncio.gather(*waiting)] == [["shutdown"]] * 2

    asyncio.run(scenario())


def test_a_worker_that_stands_still_is_killed_and_another_one_scans_its_mail(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped by a signal or stuck in the kernel it cannot end by its own alarm."""
    monkeypatch.setattr("gatepost.services.scanners.PATIENCE", 0.2)

    async def scenario() -> Verdict:
        scanners = Scanners(workers.path, wall=0.2)
        scanners.listen()
        workers.start()
        while not scanners.workers:
            await asyncio.sleep(0.02)
        os.kill(workers.pids[0], signal.SIGSTOP)
        verdict = asyncio.ensure_future(scanners.scan(ENVELOPE, spool(b"fine\n")))
        await asyncio.sleep(0.1)
        workers.start()
        try:
            return await verdict
        finally:
            scanners.close()

    assert asyncio.run(scenario()).subject == "fine"
    assert os.waitpid(workers.pids[0], 0)[1] == signal.SIGKILL


def test_out_of_descriptors_a_mail_is_put_off_and_no_worker_is_lost(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    real = AsyncChannel.send

    def full(*_arguments: object) -> None:
        raise OSError(24, "Too many open files")

    async def scenario() -> tuple[Verdict, Verdict]:
        scanners = Scanners(workers.path)
        scanners.listen()
        workers.start()
        while not scanners.workers:
            await asyncio.sleep(0.02)
        monkeypatch.setattr(AsyncChannel, "send", full)
        refused = await scanners.scan(ENVELOPE, spool(b"one\n"))
        monkeypatch.setattr(AsyncChannel, "send", real)
        taken = await scanners.scan(ENVELOPE, spool(b"two\n"))
        scanners.close()
        return refused, taken

    refused, taken = asyncio.run(scenario())

    assert names(refused) == ["not-handed-over"]
    assert taken.subject == "two"
