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

from tests.benchmarks.drive import Client, Run, clamd, drive, milters
from tests.support.clamd import running_clamd
from tests.support.gateway import Gateway
from tests.support.mails import CLEAN, mail
from tests.support.ports import wait_for

SHARED = Path(__file__).resolve().parents[3] / "shared"
NO_CACHE = "DisableCache yes\nMaxThreads 12\nMaxQueue 200\n"
SIGNATURES = 20_000
"""Random body and hash signatures beside the test's own, so that the engine has work to do."""


def mails(count: int) -> list[bytes]:
    """Real mails where the developers' corpus is present, mails of our own otherwise; with CRLF lines."""
    files = sorted(path for path in (SHARED / "corpus").rglob("*") if path.is_file() and path.name != "SOURCES.md")
    if not files:
        return [mail(f"number {number}", text="A line of text, like many.\r\n" * (number % 200)) for number in range(count - 1)] + [CLEAN]
    chosen = random.Random(20261123).sample(files, min(count, len(files)))
    return [_crlf(path.read_bytes()) for path in chosen]


def _crlf(content: bytes) -> bytes:
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"\r\n".join(line for line in lines if not line.startswith((b"From ", b">From ")) or line is not lines[0])


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
    parser.add_argument("--engine", choices=("clamav", "libclamav", "none"), default="clamav")
    options = parser.parse_args()
    if shutil.which("clamd") is None:
        sys.exit("benchmarks: need clamd (Debian package clamav-daemon)")
    targets = _measure(options.mails, options.rounds, options.engine)
    for name, value, bound in targets:
        print(f"target {name} {value:.2f} {bound:.2f} {'met' if value >= bound else 'missed'}")


def _measure(count: int, turns: int, engine: str) -> list[tuple[str, float, float]]:
    messages = mails(count)
    print(
        f"{len(messages)} mails, mean {sum(map(len, messages)) / len(messages) / 1024:.1f} KB, engine {engine}, every safety on", flush=True
    )
    with tempfile.TemporaryDirectory(prefix="gp-bench-") as path, running_clamd(NO_CACHE, _engine_home(Path(path))) as scanner:
        folder = Path(path)
        extra = {
            "clamav": f'[engines.clamav]\nsocket = "{scanner.address}"\n',
            "libclamav": f'[engines.libclamav]\ndatabase = "{scanner.folder}/db"\n',
            "none": "",
        }[engine]
        gateway = Gateway(folder / "gateway", next_hop=9, extra=extra).start()
        try:
            with clamav_milter(folder, scanner.address) as peer:
                clients = {"raw clamd": clamd(str(scanner.socket)), "gatepost": milters(str(gateway.home / "milter.sock"))}
                if peer:
                    clients["clamav-milter"] = milters(peer)
                return _targets(clients, messages, turns)
        finally:
            gateway.stop()


def _targets(clients: dict[str, Client], messages: list[bytes], turns: int) -> list[tuple[str, float, float]]:
    targets = []
    for connections in (1, 4, 16):
        runs = rounds(clients, messages, connections, turns)
        report(runs, connections)
        if connections > 1:
            targets.append((f"real-to-raw-clamd-c{connections}", ratio(runs, "gatepost", "raw clamd"), 0.75))
            if "clamav-milter" in clients:
                targets.append((f"real-to-clamav-milter-c{connections}", ratio(runs, "gatepost", "clamav-milter"), 1.0))
    return targets


if __name__ == "__main__":
    main()
