"""plan, apply, confirm, rollback and history as an administrator runs them, on a tree of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.relay.sites import demo_text
from tests.support.ports import wait_for

pytestmark = pytest.mark.usefixtures("as_root")


class Host:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.site = folder / "site.toml"
        self.site.write_text(demo_text())

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gatepost", *words, "--site", str(self.site), "--root", str(self.root)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @property
    def main(self) -> Path:
        return self.root / "etc/postfix/main.cf"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_relay_is_planned_applied_confirmed_and_rolled_back(host: Host) -> None:
    planned = host.run("plan", "--role", "relay").stdout
    assert "create   /etc/postfix/main.cf" in planned
    assert not host.main.exists()

    assert "gatepost confirm" in host.run("apply", "--yes", "--role", "relay").stdout
    assert "is kept" in host.run("confirm").stdout
    assert "milter_default_action = tempfail" in host.main.read_text()
    assert (host.main.stat().st_mode & 0o777, host.main.stat().st_uid) == (0o644, 0)
    again = host.run("plan", "--role", "relay")
    assert (again.returncode, again.stdout.strip()) == (0, f"{planned.count('create   ')} same")

    assert host.run("rollback").returncode == 0
    assert not host.main.exists()
    ends = [row["end"] for row in json.loads(host.run("history", "--json").stdout)]
    assert ends == ["rolled back", "done, a rollback"]


def test_a_file_of_others_stops_the_apply_until_it_is_named(host: Host) -> None:
    host.main.parent.mkdir(parents=True)
    host.main.write_text("relayhost = [192.0.2.1]\n")

    refused = host.run("apply", "--yes", "--role", "relay", "--confirm", "0")
    assert refused.returncode == 2
    assert "Gatepost did not write this file" in refused.stderr
    assert host.main.read_text() == "relayhost = [192.0.2.1]\n"
    assert not (host.main.parent / "transport").exists()

    assert host.run("apply", "--yes", "--role", "relay", "--confirm", "0", "--take", "/etc/postfix/main.cf").returncode == 0
    assert host.run("rollback").returncode == 0
    assert host.main.read_text() == "relayhost = [192.0.2.1]\n"


def test_the_firewall_gets_a_postfix_that_only_sends(host: Host) -> None:
    assert host.run("apply", "--yes", "--confirm", "0", "--role", "firewall").returncode == 0

    text = host.main.read_text()
    assert "inet_interfaces = loopback-only" in text
    assert "relayhost = [192.168.2.3]:25" in text


def test_what_nobody_confirms_is_undone_by_a_process_of_its_own(host: Host) -> None:
    assert host.run("apply", "--yes", "--role", "relay", "--confirm", "2").returncode == 0
    assert host.main.exists()

    wait_for(lambda: not host.main.exists(), "the change to be undone")
    wait_for(lambda: "not confirmed, put back" in host.run("history").stdout, "the end of the change")
    assert host.run("confirm").returncode == 2
