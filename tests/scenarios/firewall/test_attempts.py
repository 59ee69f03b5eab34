"""Who tried what at a real firewall in namespaces is in the journal: the kernel logs, the watch counts, a real keeper writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.firewall import vantage
from gatepost.firewall.attempts import attempts, dropped, probe_id, scanners, together
from gatepost.firewall.declared import read_policy
from gatepost.firewall.lab import Lab
from gatepost.journal.store import SqliteJournal
from gatepost.services import keeperd
from gatepost.site.load import load
from tests.support import flood
from tests.support.ports import wait_for

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "widget" / "site.toml"
pytestmark = [pytest.mark.system, pytest.mark.xdist_group("lab")]
STRANGER, PC, OUTSIDE = "198.51.100.66", "192.168.3.10", "198.51.100.21"
PROBES = [
    [STRANGER, "203.0.113.1", "tcp", 22],
    [STRANGER, "203.0.113.1", "udp", 161],
    [STRANGER, "192.168.3.45", "tcp", 445],
    ["2001:db8:66::66", "2001:db8:2::3", "tcp", 23],
    [PC, "192.168.2.3", "tcp", 3389],
]
"""Refused ones: source, target, protocol, port; each gets a source port of its own."""


class Gateway:
    """The firewall of the lab, its watch, and a keeper."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site.toml"
        text = EXAMPLE.read_text().replace("[site]\n", f'[site]\nstate = "{folder}/state"\nrun = "{folder}/run"\n', 1)
        self.site.write_text(text)
        (folder / "run").mkdir()
        self.lab = Lab(read_policy(self.site))
        self.path = folder / "state/journal.sqlite"
        self.keeper = 0
        self.watch: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.lab.__enter__()
        socket = self.site.parent / "run/keeper.sock"
        self.keeper = os.fork()
        if not self.keeper:
            try:
                keeperd.run(load(self.site), socket)
            finally:
                os._exit(0)
        wait_for(socket.exists, "the keeper")
        command = [sys.executable, "-m", "gatepost", "firewall", "watch", "--site", str(self.site), "--every", "1"]
        self.watch = subprocess.Popen([*self.inside("firewall"), *command], stdout=subprocess.PIPE, text=True)
        assert self.watch.stdout
        assert self.watch.stdout.readline().startswith("PROVED")

    def inside(self, zone: str) -> list[str]:
        return ["ip", "netns", "exec", self.lab.spaces[zone]]

    def probe(self, zone: str, rows: list[list[object]]) -> None:
        numbered = [[number, *row] for number, row in enumerate(rows)]
        vantage.ask(vantage.here(self.lab.spaces[zone]), {"do": "probe", "batches": [numbered], "seconds": 1.5})

    def settle(self) -> None:
        """End the watch, which then tells what it has; the kernel may keep a packet for 0.1 s before it hands it over."""
        time.sleep(0.5)
        assert self.watch
        self.watch.send_signal(signal.SIGTERM)
        self.watch.communicate(timeout=20)

    @property
    def journal(self) -> SqliteJournal:
        return SqliteJournal(self.path, writes=False)

    def close(self) -> None:
        if self.watch:
            self.watch.kill()
            self.watch.wait()
        if self.keeper:
            os.kill(self.keeper, signal.SIGKILL)
            os.waitpid(self.keeper, 0)
        self.lab.__exit__()


@pytest.fixture
def gateway(as_root: None, tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.close()


def test_every_refused_probe_is_found_by_its_id(gateway: Gateway) -> None:
    rows = [[*probe, 40000 + number] for number, probe in enumerate(PROBES)]
    gateway.probe("internet", [row for row in rows if row[0] != PC])
    gateway.probe("internal", [row for row in rows if row[0] == PC])
    gateway.settle()

    found = {one.probe: one for one in attempts(gateway.journal)}
    ids = [probe_id(str(source), int(str(own)), str(target), f"{kind}/{port}") for source, target, kind, port, own in rows]
    assert [probe for probe in ids if probe not in found] == [], sorted(found)
    assert [found[probe].zone for probe in ids] == ["internet"] * 4 + ["internal"]


def test_a_scan_and_the_use_of_ftp_are_told_and_who_did_both(gateway: Gateway) -> None:
    gateway.probe("internal", [[PC, OUTSIDE, "tcp", 21], [PC, OUTSIDE, "tcp", 6667]])
    gateway.probe("internet", [[STRANGER, "203.0.113.1", "tcp", port] for port in range(100, 130)])
    gateway.settle()

    assert [event.subject for event in scanners(gateway.journal)] == [STRANGER]
    assert [(one.source, set(one.kinds)) for one in together(attempts(gateway.journal))] == [(PC, {"ftp access", "refused"})]
    command = [sys.executable, "-m", "gatepost", "firewall", "attempts", "--site", str(gateway.site)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Scan: 198.51.100.66 from internet tried 30 services" in text
    assert "ftp (tcp/21)" in text
    assert subprocess.run([*command, "--service", "rdp"], capture_output=True, check=False).returncode == 1


def test_a_flood_does_not_fill_the_journal_and_is_counted_whole(gateway: Gateway) -> None:
    pour = [*gateway.inside("internet"), *flood.command("192.168.3.45", 7, "100000x", STRANGER)]
    sent = int(subprocess.run(pour, capture_output=True, text=True, check=True).stdout.split()[0])
    gateway.probe("internal", [[PC, OUTSIDE, "tcp", 6667]])
    gateway.settle()

    assert sent >= 100_000
    assert sum(dropped(gateway.journal).values()) >= sent, dropped(gateway.journal)
    written = [event for _, event in gateway.journal.events() if event.kind.startswith("firewall.")]
    assert sum(len(json.dumps(dict(event.data))) for event in written) < 500_000
    assert any(one.source == PC for one in attempts(gateway.journal))
