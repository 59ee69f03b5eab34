"""`python -m tests.benchmarks.storage`: what PostgreSQL instead of SQLite costs the gateway, rounds of both in turn, on one machine.

The server syncs as it would in earnest. Beside the rates stand the processor seconds that PostgreSQL took, since on a machine of its own they would
not be the relay's. Last line: `target NAME VALUE BOUND met|missed`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from tests.benchmarks.__main__ import ratio, report, rounds
from tests.benchmarks.drive import milters
from tests.benchmarks.sets import SETS
from tests.support import postgresql
from tests.support.gateway import Gateway
from tests.support.ports import wait_for

BOUND = 0.9


def seconds(server: postgresql.Postgresql) -> float:
    """Processor seconds of the server's processes that live now."""
    first = int((server.home / "data/postmaster.pid").read_text().split()[0])
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = int(path.parent.name), path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if first in {name, int(fields[1])}:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.storage", description=__doc__)
    parser.add_argument("--mails", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", choices=sorted(SETS), default="mixed")
    options = parser.parse_args()
    messages = SETS[options.set](options.mails)
    server = postgresql.begun(fsync="on")
    with tempfile.TemporaryDirectory(prefix="gp-bench-") as folder:
        url = server.database()
        gateways = {
            "SQLite": Gateway(Path(folder) / "sqlite", next_hop=9).start(),
            "PostgreSQL": Gateway(Path(folder) / "postgresql", next_hop=9, extra=f'[storage]\nurl = "{url}"\nnode = "mx1"\n').start(),
        }
        before = seconds(server)
        try:
            clients = {name: milters(str(gateway.home / "milter.sock")) for name, gateway in gateways.items()}
            runs = rounds(clients, messages, 16, options.rounds)
        finally:
            for gateway in gateways.values():
                gateway.stop()
        mails = len(messages) * (options.rounds + 1)
        name = url.split("/")[3].split("?")[0]
        wait_for(lambda: int(server.run(name, "SELECT count(*) FROM gatepost.messages")) == mails, "every mail to be in PostgreSQL")
        report(runs, 16)
        print(
            f"PostgreSQL took {(seconds(server) - before) / mails * 1e6:.0f} µs of the processor for each mail (connections that ended are not counted)"
        )
        found = ratio(runs, "PostgreSQL", "SQLite")
        print(f"target postgresql-to-sqlite-c16 {found:.2f} {BOUND:.2f} {'met' if found >= BOUND else 'missed'}")
    postgresql.ended(server)


if __name__ == "__main__":
    main()
