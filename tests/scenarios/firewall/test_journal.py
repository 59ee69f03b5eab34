"""What happens to the firewall stands in the journal of the gateway, written by a real keeper."""

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

from gatepost.firewall.apply import Place, apply
from gatepost.firewall.declared import read_policy
from gatepost.journal.store import SqliteJournal
from gatepost.services import keeperd
from gatepost.site.load import load
from tests.support.ports import wait_for

SITE = Path(__file__).resolve().parents[3] / "examples" / "widget" / "site.toml"
pytestmark = pytest.mark.system


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    text = SITE.read_text().replace("[firewall]\n", "[firewall]\nconfirm = 5\n", 1)
    path.write_text(text.replace("[site]\n", f'[site]\nstate = "{tmp_path}/state"\nrun = "{tmp_path}/run"\n', 1))
    (tmp_path / "run").mkdir()
    return path


@pytest.fixture
def keeper(site: Path, tmp_path: Path) -> Iterator[Path]:
    """A keeper at the site's socket; gives the journal."""
    socket = tmp_path / "run/keeper.sock"
    pid = os.fork()
    if not pid:
        try:
            keeperd.run(load(site), socket)
        finally:
            os._exit(0)
    wait_for(socket.exists, "the keeper")
    yield tmp_path / "state/journal.sqlite"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def kinds(journal: Path) -> list[str]:
    return [event.kind for _, event in SqliteJournal(journal, writes=False).events() if event.kind.startswith("firewall.")]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "gatepost", "firewall", *words]


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A change that waits for its confirmation."""
    state = tmp_path / "rules"
    state.mkdir()
    (state / "candidate.nft").write_text("table inet gatepost {}\n")
    (state / "pending.json").write_text(json.dumps({"deadline": time.time() + 60, "session": "another", "namespace": ""}))
    return state


def test_a_confirmation_is_an_event(site: Path, keeper: Path, waiting: Path) -> None:
    subprocess.run(command("confirm", "--state", str(waiting), "--site", str(site)), check=True, capture_output=True)

    assert kinds(keeper) == ["firewall.confirmed"]


def test_a_confirmation_needs_neither_a_gateway_nor_a_site_file(waiting: Path, tmp_path: Path) -> None:
    done = subprocess.run(command("confirm", "--state", str(waiting), "--site", str(tmp_path / "gone.toml")), check=False)

    assert done.returncode == 0
    assert (waiting / "confirmed.nft").exists()


def test_a_change_taken_back_is_an_event(as_root: None, site: Path, keeper: Path, tmp_path: Path) -> None:
    name = f"gpj{os.getpid() % 100000}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        apply(read_policy(site), Place(tmp_path / "rules", name), "a", command("guard", "--site", str(site)))
        wait_for(lambda: kinds(keeper) == ["firewall.rolledback"], "the change to be taken back", 20)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
