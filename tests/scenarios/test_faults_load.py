"""Too much of something: connections that say nothing, descriptors, memory; mail that kills its reader; a clock that jumps."""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fakeclock import fake_clock
from tests.support.gateway import Gateway
from tests.support.judge import SOUND
from tests.support.mails import mail
from tests.support.ports import wait_for
from tests.support.traffic import BANNED, CLEAN, DATE, MARKED
from tests.support.ways import StartWay, start_way

__all__ = ["start_way"]

pytestmark = pytest.mark.system

SLOW = """#!/bin/sh
if grep -rq GATEPOST-HARMLESS "$1"; then sleep 30; fi
exit 0
"""

COMMAND = """
[engines.scanner]
kind = "command"
command = ["{script}", "{{path}}"]
clean = [0]
infected = [1]
"""


@contextmanager
def idlers(address: int | Path, count: int, words: bytes) -> Iterator[list[socket.socket]]:
    """Hold so many connections open that have said `words` and say no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    held = []
    for _ in range(count):
        sock = socket.socket(socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET)
        sock.settimeout(10)
        # A Unix socket whose backlog is full refuses at once, where TCP would wait.
        wait_for(lambda sock=sock: sock.connect_ex(str(address) if isinstance(address, Path) else ("127.0.0.1", address)) == 0, "a place")  # type: ignore[misc]
        sock.sendall(words)
        held.append(sock)
    try:
        yield held
    finally:
        for sock in held:
            sock.close()


def latencies(way_port: int, count: int = 20) -> list[float]:
    """Seconds until the greeting of so many honest clients."""
    out = []
    for _ in range(count):
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", way_port), 30) as sock:
            assert sock.recv(100).startswith(b"220")
        out.append(time.monotonic() - start)
    return sorted(out)


@pytest.mark.faults
def test_a_thousand_silent_connections_keep_nobody_out(gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    running = gateway()
    way = start_way("proxy", running)
    with idlers(running.smtp, 1000, b"EHLO slow.example\r\nMAIL FROM:<a@slow.example>\r\nRCPT TO:<bob@wid"):
        greeted = latencies(running.smtp)
        assert 0 not in way.traffic.send(way.traffic.mixed(16))
        print(f"honest greeting beside 1,000 silent connections: median {greeted[10] * 1000:.1f} ms, worst {greeted[-1] * 1000:.1f} ms")

    assert way.judge() == SOUND
    assert {one.answers[0] for one in way.traffic.sent} == {250, 550}


@pytest.mark.faults
def test_out_of_descriptors_it_takes_less_and_recovers_by_itself(gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    running = gateway()
    way = start_way("proxy", running)
    way.traffic.patience = 3.0
    (front,) = running.children("front")
    resource.prlimit(front, resource.RLIMIT_NOFILE, (48, 48))
    with idlers(running.smtp, 100, b"EHLO crowd.example\r\n"):
        during = way.traffic.send(way.traffic.mixed(8))
    way.traffic.patience = 60.0
    way.traffic.settle()

    assert set(during) <= {0, 250, 421, 451, 550}
    assert way.judge() == SOUND
    assert running.children("front") == [front]
    assert way.traffic.send(way.traffic.mixed(8)) == [250, 250, 550, 550, 250, 250, 250, 250]


def data_of(pid: int) -> int:
    """Bytes of private memory that count against RLIMIT_DATA."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmData")]
    return int(line.split()[1]) << 10


@pytest.mark.faults
def test_out_of_memory_in_a_worker_only_the_mail_that_needs_it_waits(gateway: Callable[..., Gateway], start_way: StartWay) -> None:
    running = gateway()
    way = start_way("proxy", running)
    way.traffic.send(way.traffic.mixed(8))
    workers = running.children("scan worker")
    for worker in workers:
        resource.prlimit(worker, resource.RLIMIT_DATA, (data_of(worker) + (8 << 20), 2 << 30))
    hungry = way.traffic.write(CLEAN)
    hungry.content = DATE + mail(hungry.identifier, file=("big.bin", os.urandom(20 << 20)))

    assert way.traffic.attempt(hungry) == 451
    others = way.traffic.send(way.traffic.mixed(8))
    for worker in set(workers) & set(running.children("scan worker")):
        resource.prlimit(worker, resource.RLIMIT_DATA, (2 << 30, 2 << 30))
    way.traffic.settle()

    assert set(others) <= {250, 550}
    assert way.judge() == SOUND


def test_a_mail_whose_every_reader_dies_is_held_and_others_pass(gateway: Callable[..., Gateway], start_way: StartWay, home: Path) -> None:
    script = home / "scanner"
    script.write_text(SLOW)
    script.chmod(0o755)
    running = gateway(COMMAND.format(script=script))
    way = start_way("proxy", running)
    poison = way.traffic.write(MARKED)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(way.traffic.attempt, poison)
        for _ in range(2):
            wait_for(lambda: busy(running), "a worker that reads it")
            victim = busy(running)[0]
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda victim=victim: victim not in running.children(), "its end")  # type: ignore[misc]
        assert answer.result(60) == 250

    assert "poison" in running.log()
    assert {row.state for row in running.rows()} == {"quarantined"}
    assert set(way.traffic.send([way.traffic.write(kind) for kind in (CLEAN, BANNED) * 4])) == {250}
    assert way.judge("scanner") == SOUND


def busy(gateway: Gateway) -> list[int]:
    """Scan workers with a running child."""
    workers = gateway.children("scan worker")
    return [pid for pid in workers if _children(pid)]


def _children(pid: int) -> str:
    try:
        return "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:
        return ""


@pytest.mark.faults
@pytest.mark.parametrize("days", [1, -1, 3650, -3650])
def test_the_clock_jumps_under_load(
    days: int, gateway: Callable[..., Gateway], start_way: StartWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemons believe it; nothing else does."""
    with fake_clock() as clock:
        for name, value in clock.environment.items():
            monkeypatch.setenv(name, value)
        running = gateway()
        monkeypatch.delenv("LD_PRELOAD")
        way = start_way("proxy", running)
        with way.traffic.flowing():
            time.sleep(0.7)
            clock.set(f"{days:+d}d")
            time.sleep(0.7)
        way.traffic.settle()
        assert way.judge() == SOUND
        jumped = [row.at - time.time() for row in running.rows() if abs(row.at - time.time()) > 80_000]
        assert jumped, "the daemons did not see the clock jump"


@pytest.mark.faults
def test_a_frozen_keeper_promises_nothing_and_one_that_wakes_writes_no_stale_promise(
    gateway: Callable[..., Gateway], start_way: StartWay
) -> None:
    running = gateway()
    way = start_way("proxy", running)
    way.traffic.patience = 2.0
    (keeper,) = running.children("keeper")
    os.kill(keeper, signal.SIGSTOP)
    assert set(way.traffic.send(way.traffic.mixed(8))) == {0}
    assert way.sink.delivered == []
    os.kill(keeper, signal.SIGCONT)
    way.traffic.patience = 60.0
    way.traffic.settle()

    assert way.judge() == SOUND


@pytest.mark.faults
@pytest.mark.parametrize("count", [600])
def test_milter_connections_beyond_the_limit_are_put_off_and_later_served(
    count: int, gateway: Callable[..., Gateway], start_way: StartWay
) -> None:
    running = gateway()
    way = start_way("postfix", running)
    with idlers(running.home / "milter.sock", count, b"\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\0\0"):
        during = way.traffic.send(way.traffic.mixed(8))
    wait_for(lambda: way.traffic.attempt(way.traffic.write(CLEAN)) == 250, "a free place")
    way.traffic.settle()

    assert set(during) <= {0, 250, 421, 451, 550}
    assert way.judge() == SOUND
