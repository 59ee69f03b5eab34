"""Integrity checks against AIDE and Tripwire on one tree in one run: processor seconds, wall time, memory.

    python -m tests.benchmarks.integrity TREE [sha256] [blake3] [peers]

Processor seconds (user and system, children included) are the figure to compare; the page cache is warmed by each tool's own
first run. Memory is the largest sum of PSS over a tool's processes, sampled while it runs. Tripwire knows no SHA-256: it gets SHA-1,
the cheapest of its digests that is not a checksum, and the same other attributes but those that it does not know (ACL, extended
attributes, capabilities, chattr).
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gatepost.integrity.baseline import Watched, make_baseline
from gatepost.integrity.check import Options, check
from gatepost.integrity.state import State
from gatepost.site.integrity import Integrity, Rule

AIDE = "p+ftype+i+l+n+u+g+s+m+c+acl+xattrs+caps+e2fsattrs+sha256"
TRIPWIRE = "+pinugtsmcS-drlbaCMH"
ALGORITHMS = ("sha256", "blake3")


class Memory(threading.Thread):
    """Samples the PSS of a process and all its descendants."""

    def __init__(self, top: int) -> None:
        super().__init__(daemon=True)
        self.top, self.largest, self.over = top, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            self.largest = max(self.largest, sum(_pss(pid) for pid in _family(self.top)))


def _family(top: int) -> list[int]:
    found, waiting = [], [top]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            waiting += [int(p) for task in Path(f"/proc/{pid}/task").iterdir() for p in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measured(name: str, work: Callable[[], object]) -> None:
    """Run `work` in a child of its own and print one line of the table."""
    begun = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    memory = Memory(child)
    memory.start()
    _, status = os.waitpid(child, 0)
    memory.over.set()
    if status:
        raise SystemExit(f"{name} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(f"| {name} | {cpu:.1f} | {time.monotonic() - begun:.0f} | {memory.largest / 1024:.0f} |", flush=True)


def gatepost(tree: Path, algorithm: str, folder: Path) -> None:
    """Baseline, full check, metadata-first check."""
    section = Integrity(rules=(Rule(name="All", paths=("/",)),), canary=f"/.gatepost-canary-{os.getpid()}", hash=algorithm)  # type: ignore[arg-type]
    watched = Watched(section, State(folder / algorithm), tree, "bench")
    watched.state.prepare()
    runs: list[tuple[str, Callable[[], object]]] = [
        ("baseline", lambda: make_baseline(watched, "bench", "bench", watched.state.host_key(), lambda _: None)),
        ("full check", lambda: check(watched, Options(full=True), lambda _: None)),
        ("metadata first, 2 % by lot", lambda: check(watched, Options(full=False), lambda _: None)),
    ]
    try:
        for name, work in runs:
            measured(f"Gatepost {algorithm} {name}", work)
    finally:
        watched.canary.unlink(missing_ok=True)


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a peer. The three low bits of its exit status say what it found; more is an error."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd)
    if done.returncode >= 8:
        sys.stderr.write(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}\n")
        sys.exit(1)


def aide(tree: Path, folder: Path) -> None:
    """AIDE with the same attributes."""
    config = folder / "aide.conf"
    config.write_text(f"database_in=file:{folder}/db\ndatabase_out=file:{folder}/db.new\nreport_url=file:{folder}/report\n{tree} {AIDE}\n")
    measured("AIDE sha256 init", lambda: _run("aide", "-c", config, "--init"))
    (folder / "db.new").rename(folder / "db")
    measured("AIDE sha256 check", lambda: _run("aide", "-c", config, "--check"))


def tripwire(tree: Path, folder: Path) -> None:
    """Tripwire with the nearest attributes that it has."""
    (folder / "pol.txt").write_text(f"{tree} -> {TRIPWIRE};\n")
    names = {"POLFILE": "tw.pol", "DBFILE": "tw.twd", "REPORTFILE": "tw.twr", "SITEKEYFILE": "site.key", "LOCALKEYFILE": "local.key"}
    settings = "".join(f"{name}={folder}/{file}\n" for name, file in names.items())
    (folder / "cfg.txt").write_text(f"ROOT=/usr/sbin\n{settings}EDITOR=/bin/true\nMAILMETHOD=SENDMAIL\nMAILPROGRAM=/bin/true\n")
    keys = ["-P", "bench-key", "-Q", "bench-key"]
    for task in (
        ("G", "-S", "site.key", "-L", "local.key", *keys),
        ("F", "-c", "tw.cfg", "-S", "site.key", *keys[2:], "cfg.txt"),
        ("P", "-c", "tw.cfg", "-S", "site.key", *keys[2:], "pol.txt"),
    ):
        _run("twadmin", "-m", *task, cwd=folder)
    measured("Tripwire sha1 init", lambda: _run("tripwire", "-m", "i", "-c", "tw.cfg", *keys[:2], cwd=folder))
    measured("Tripwire sha1 check", lambda: _run("tripwire", "-m", "c", "-c", "tw.cfg", cwd=folder))


def main() -> None:
    """The whole table."""
    tree = Path(sys.argv[1])
    algorithms = [name for name in ALGORITHMS if name in sys.argv] or ["sha256"]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        print(f"{tree}: load {os.getloadavg()[0]:.1f}\n| run | CPU s | wall s | PSS MB |\n|---|---|---|---|", flush=True)
        for algorithm in algorithms:
            gatepost(tree, algorithm, folder)
        for tool, run in (("aide", aide), ("tripwire", tripwire)) if "peers" in sys.argv else ():
            if shutil.which(tool):
                run(tree, folder)


if __name__ == "__main__":
    main()
