"""`python -m tests.benchmarks`: the gateway's speed as ratios to raw clamd and to clamav-milter, in one run on this machine.

Rounds of the three alternate, so that a slow moment of the machine meets all of them; medians are quoted. The last lines are the targets:
`target NAME VALUE BOUND met|missed`. Needs clamd, clamav-milter is measured where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import embedded
from tests.benchmarks.drive import Client, Run, clamd, drive, milters
from tests.benchmarks.sets import SETS
from tests.support.clamd import Clamd, running_clamd
from tests.support.gateway import Gateway
from tests.support.ports import free_port, wait_for

NO_CACHE = "DisableCache yes\nMaxThreads 12\nMaxQueue 200\n"
SIGNATURES = 20_000
"""Random body and hash signatures beside the test's own, so that the engine has work to do."""
REMEMBERED = 10_000
"""Answers that the verdict cache holds where it is on."""

Target = tuple[str, float, float]


def _engine_home(folder: Path) -> Path:
    """A folder for clamd with random signatures, always the same."""
    folder.chmod(0o755)
    (folder / "db").mkdir()
    dice = random.Random(7)
    (folder / "db/more.ndb").write_text("".join(f"Bench.{number}:0:*:{dice.randbytes(24).hex()}\n" for number in range(SIGNATURES)))
    (folder / "db/more.hdb").write_text(
        "".join(f"{dice.randbytes(16).hex()}:{dice.randint(100, 99999)}:Bench.H{number}\n" for number in range(SIGNATURES))
    )
    return folder


@contextlib.contextmanager
def clamav_milter(folder: Path, socket: str) -> Iterator[str | None]:
    """The peer, if it is installed; gives its socket."""
    if shutil.which("clamav-milter") is None:
        yield None
        return
    path = folder / "peer.sock"
    (folder / "milter.conf").write_text(
        f"MilterSocket {path}\nMilterSocketMode 666\nClamdSocket {socket}\nForeground yes\nOnInfected Reject\nTemporaryDirectory {folder}\nUser root\n"
    )
    process = subprocess.Popen(["clamav-milter", "-c", str(folder / "milter.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(path.exists, "clamav-milter to listen")
        yield str(path)
    finally:
        process.kill()
        process.wait()


def rounds(clients: dict[str, Client], messages: list[bytes], connections: int, count: int) -> dict[str, list[Run]]:
    """So many rounds of each client, in turn; a first one warms up and is not counted."""
    runs: dict[str, list[Run]] = {name: [] for name in clients}
    for number in range(count + 1):
        for name, client in clients.items():
            run = asyncio.run(drive(client, messages, connections))
            if number:
                runs[name].append(run)
    return runs


def ratio(runs: dict[str, list[Run]], name: str, floor: str) -> float:
    """The median over the rounds of one's rate to the other's."""
    return statistics.median(one.rate / other.rate for one, other in zip(runs[name], runs[floor], strict=True))


def report(runs: dict[str, list[Run]], connections: int) -> None:
    for name, several in runs.items():
        rate = statistics.median(run.rate for run in several)
        middle, high = (statistics.median(run.quantile(share) for run in several) for share in (0.5, 0.99))
        print(f"c={connections:<3} {name:<14} {rate:8.1f} mails/s   p50 {middle:7.1f} ms   p99 {high:7.1f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--mails", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--engine", choices=("clamav", "libclamav"), default="libclamav", help="clamd by its socket, or its library in the workers"
    )
    parser.add_argument("--sets", default="real,mixed,campaign,embedded", help="what to send, of: real, mixed, campaign, embedded")
    options = parser.parse_args()
    if shutil.which("clamd") is None:
        sys.exit("benchmarks: need clamd (Debian package clamav-daemon)")
    targets = []
    for name in options.sets.split(","):
        found = embedded.measure(10.0, free_port()) if name == "embedded" else _measure(name, options)
        targets.extend(found)
    for name, value, bound in targets:
        print(f"target {name} {value:.2f} {bound:.2f} {'met' if value >= bound else 'missed'}")


def _engine(options: argparse.Namespace, scanner: Clamd, cache: int) -> str:
    """The site file's lines for the engine."""
    remembered = f"verdict_cache = {cache}\n" if cache else ""
    if options.engine == "clamav":
        return f'[engines.clamav]\nsocket = "{scanner.address}"\n{remembered}'
    return f'[engines.libclamav]\ndatabase = "{scanner.folder}/db"\n{remembered}'


def _measure(name: str, options: argparse.Namespace) -> list[Target]:
    """One set against raw clamd and clamav-milter; the verdict cache is on for the campaign alone."""
    messages = SETS[name](options.mails)
    size = sum(map(len, messages)) / len(messages) / 1024
    print(f"{name}: {len(messages)} mails, mean {size:.1f} KB, engine {options.engine}, every safety on", flush=True)
    with tempfile.TemporaryDirectory(prefix="gp-bench-") as path, running_clamd(NO_CACHE, _engine_home(Path(path))) as scanner:
        folder = Path(path)
        extra = _engine(options, scanner, REMEMBERED if name == "campaign" else 0)
        gateway = Gateway(folder / "gateway", next_hop=9, extra=extra, scan_workers=0).start()
        try:
            with clamav_milter(folder, scanner.address) as peer:
                clients = {"raw clamd": clamd(str(scanner.socket)), "gatepost": milters(str(gateway.home / "milter.sock"))}
                if peer:
                    clients["clamav-milter"] = milters(peer)
                return _targets(name, clients, messages, options.rounds)
        finally:
            gateway.stop()


BOUNDS = {"real": (0.75, 1.0), "mixed": (0.0, 1.3), "campaign": (5.0, 0.0)}
"""By set: the least ratio to raw clamd, and to clamav-milter; 0 where nothing is promised."""


def _targets(name: str, clients: dict[str, Client], messages: list[bytes], turns: int) -> list[Target]:
    targets = []
    for connections in (1, 4, 16) if name == "real" else (4,):
        runs = rounds(clients, messages, connections, turns)
        report(runs, connections)
        for peer, bound in zip(("raw clamd", "clamav-milter"), BOUNDS[name], strict=True):
            if bound and peer in runs and connections > 1:
                label = peer.replace(" ", "-")
                targets.append((f"{name}-to-{label}-c{connections}", ratio(runs, "gatepost", peer), bound))
        if name == "real" and "clamav-milter" in runs:
            targets.append(
                (f"real-p99-of-clamav-milter-to-ours-c{connections}", _tail(runs, "clamav-milter") / _tail(runs, "gatepost"), 1.0)
            )
    return targets


def _tail(runs: dict[str, list[Run]], name: str) -> float:
    """The median over the rounds of the latency that one mail in a hundred exceeds, in milliseconds."""
    return statistics.median(run.quantile(0.99) for run in runs[name])


if __name__ == "__main__":
    main()
