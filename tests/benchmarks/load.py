"""`python -m tests.benchmarks.load --mails N`: a long load with infected mail and reloads, and the judgement over every mail of it.

First the peak is measured for some seconds, then N mails are offered at a share of it (`--share`), one in twenty infected, while the gateway
reloads every `--reload` seconds. Whoever is put off sends again. Prints lost, unscanned, duplicated and ghost mails, which must be 0, the memory of
every process early, in the middle and at the end, and the latency of the answers.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.support.gateway import Gateway
from tests.support.judge import Evidence, Sent, judge
from tests.support.memory import proportional
from tests.support.sink import Sink
from tests.support.traffic import CLEAN, INFECTED, Traffic

SENDERS = 8
INFECTED_EVERY = 20
PEAK = 5.0
"""Seconds for which the peak is measured."""


def memory(gateway: Gateway) -> str:
    """MiB of each kind of process (PSS, the sum over those of a kind)."""
    kinds = {kind: sum(map(proportional, gateway.children(kind))) >> 20 for kind in ("front", "keeper", "scan worker")}
    return ", ".join(f"{kind} {size} MiB" for kind, size in kinds.items())


def peak(traffic: Traffic) -> float:
    """Mails a second that all senders together get answered."""
    start, before = time.monotonic(), len(traffic.sent)
    with traffic.flowing():
        time.sleep(PEAK)
    return (len(traffic.sent) - before) / (time.monotonic() - start)


@contextmanager
def reloading(gateway: Gateway, seconds: float) -> Iterator[list[float]]:
    """Have it reload every so often until the block ends; gives the times."""
    done = threading.Event()
    times: list[float] = []

    def run() -> None:
        while not done.wait(seconds):
            gateway.process.send_signal(signal.SIGHUP)
            times.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield times
    finally:
        done.set()
        thread.join()


def offer(gateway: Gateway, traffic: Traffic, count: int, rate: float) -> list[float]:
    """Offer so many mails at a steady rate; gives the seconds until each first answer, sorted."""

    def timed(one: Sent) -> float:
        start = time.monotonic()
        traffic.attempt(one)
        return time.monotonic() - start

    answers: list[Future[float]] = []
    start = time.monotonic()
    with ThreadPoolExecutor(SENDERS * 4) as pool:
        for number in range(count):
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
            answers.append(pool.submit(timed, traffic.write(CLEAN if number % INFECTED_EVERY else INFECTED)))
            if number % max(1, count // 4) == count // 8:
                print(f"after {number} mails: {memory(gateway)}", flush=True)
    return sorted(answer.result() for answer in answers)


def run(options: argparse.Namespace, folder: Path) -> int:
    """The whole run; how many mails went wrong."""
    sink = Sink()
    gateway = Gateway(folder / "gateway", sink.port).start()
    try:
        traffic = Traffic(gateway.smtp, forwarded=True, senders=SENDERS, kinds=(CLEAN,))
        found = peak(traffic)
        print(f"peak {found:.1f} mails/s; now {options.mails} mails at {found * options.share:.1f}/s", flush=True)
        start = time.monotonic()
        with reloading(gateway, options.reload) as reloads:
            latencies = offer(gateway, traffic, options.mails, found * options.share)
        traffic.settle()
        spent = time.monotonic() - start
        print(f"at the end: {memory(gateway)}")
        verdict = judge(traffic.sent, sink.delivered, Evidence.of(gateway.home / "state", ("yara", "banned")))
    finally:
        status = gateway.stop()
        sink.stop()
    middle, high = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    again = sum(len(one.answers) > 1 for one in traffic.sent)
    print(
        f"{len(traffic.sent)} mails in {spent:.0f} s, {len(reloads)} reloads, {again} sent again; p50 {middle * 1000:.0f} ms, p99 {high * 1000:.0f} ms"
    )
    wrong = (len(verdict.lost), len(verdict.unscanned), len(verdict.twice), len(verdict.ghost))
    print(f"lost {wrong[0]}, unscanned {wrong[1]}, duplicated {wrong[2]}, ghost {wrong[3]}; the gateway ended with {status}")
    return sum(wrong) + status


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description=__doc__)
    parser.add_argument("--mails", type=int, default=100_000)
    parser.add_argument("--share", type=float, default=0.8, help="of the peak")
    parser.add_argument("--reload", type=float, default=20.0, help="seconds between two reloads")
    with tempfile.TemporaryDirectory(prefix="gp-load-") as path:
        sys.exit(1 if run(parser.parse_args(), Path(path)) else 0)


if __name__ == "__main__":
    main()
