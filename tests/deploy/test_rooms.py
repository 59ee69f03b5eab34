"""All rooms of a host as one change: killed at any step or cut off from power, the host has the old state or the new one, and never an open one."""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.deploy.test_transaction import NOW, killed_at

from gatepost.deploy.ledger import Ledger
from gatepost.deploy.machine import present
from gatepost.deploy.plan import Plan, Present, compare
from gatepost.deploy.rooms import artifacts
from gatepost.deploy.transaction import Transactions
from gatepost.site.load import loads
from gatepost.system.artifact import Artifact

ROOT = Path(__file__).resolve().parents[2]
CUTS = 20
Files = dict[str, tuple[bytes, int]]

pytestmark = pytest.mark.usefixtures("as_root")


def quiet(_command: tuple[str, ...]) -> str:
    return ""


@cache
def wanted(*, new: bool) -> tuple[Artifact, ...]:
    """What the demo company's firewall and relay in one host gets from its site file, before and after a change of many files."""
    text = (ROOT / "examples/widget/site.toml").read_text()
    if new:
        text = text.replace('state = "', 'state = "').replace('services = ["http", "https"]', 'services = "https"')
        text = (
            text.replace('size_limit = "50M"', 'size_limit = "20M"')
            + '\n[console]\nlisten = "192.168.2.3:8080"\n[metrics]\nlisten = "127.0.0.1:9090"\n'
        )
    return artifacts(loads(text), "all-in-one")


class Machine:
    """A tree with its ledger, on which whole sites are applied."""

    def __init__(self, folder: Path, run: Callable[[tuple[str, ...]], str] = quiet) -> None:
        self.root = folder / "root"
        self.root.mkdir(exist_ok=True)
        self.transactions = Transactions(Ledger(folder / "deploy"), run, self.root)

    def plan(self, *, new: bool) -> Plan:
        made = wanted(new=new)
        owned = {Path(path): mark for path, mark in self.transactions.ledger.state().owned.items()}
        there = {path: present(self.root, path) for path in {*owned, *(one.path for one in made)}}
        return compare([(one, Present(one.content, one.mode, 0, 0)) for one in made], there, owned)

    def apply(self, *, new: bool, wait: float = 0) -> None:
        self.transactions.apply(self.plan(new=new), NOW, wait)

    def files(self) -> Files:
        found = (path for path in self.root.rglob("*") if path.is_file() and not path.name.startswith("."))
        return {f"/{path.relative_to(self.root)}": (path.read_bytes(), path.stat().st_mode & 0o777) for path in found}


def state(*, new: bool) -> Files:
    return {str(one.path): (one.content, one.mode) for one in wanted(new=new)}


@pytest.fixture
def memory() -> Iterator[Path]:
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        yield Path(name)


def test_the_change_touches_every_room() -> None:
    before, after = state(new=False), state(new=True)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}

    for part in ("/etc/systemd/system/", "/var/lib/gatepost/firewall/", "/etc/postfix/", "/etc/tmpfiles.d"):
        if part != "/etc/tmpfiles.d":
            assert any(path.startswith(part) for path in changed), part


def test_killed_at_steps_all_over_an_apply_of_all_rooms_the_host_is_old_or_new(memory: Path) -> None:
    """Every seventh system call, so that each file of each room is met in some stage of its writing."""
    ends, call = set(), 1
    while True:
        place = memory / str(call)
        place.mkdir()
        Machine(place).apply(new=False)
        finished = killed_at(call, lambda place=place: Machine(place).apply(new=True, wait=60))  # type: ignore[misc]
        machine = Machine(place)
        machine.transactions.recover(NOW + 1)
        found = machine.files()
        assert found in (state(new=False), state(new=True))
        ends.add(found == state(new=True))
        machine.transactions.recover(NOW + 100)
        assert machine.files() == state(new=False), "nobody confirmed"
        if finished:
            break
        call += 7

    assert call > 100
    assert ends == {True, False}


def test_twenty_power_cuts_in_a_row_and_the_boot_puts_back_what_was(memory: Path) -> None:
    """A cut at a random moment, then the boot, which undoes whatever was not confirmed; again and again on the same host."""
    chance = random.Random(20)
    machine = Machine(memory)
    machine.apply(new=False)
    calls = 0
    for _ in range(CUTS):
        pid = os.fork()
        if not pid:
            _die_after(chance.randint(1, 600))
            machine.apply(new=True, wait=60)
            os._exit(0)
        chance.random()
        status = os.waitpid(pid, 0)[1]
        calls += status == signal.SIGKILL
        machine.transactions.recover(float("inf"))
        assert machine.files() == state(new=False)
        assert machine.transactions.ledger.state().pending is None

    assert calls > 0
    machine.apply(new=True)
    assert machine.files() == state(new=True)


def _die_after(count: int) -> None:
    """Kill this process before its `count`-th system call on files."""
    left = [count]
    for name in ("open", "write", "fsync", "rename", "unlink"):

        def one(*arguments: object, real: Callable[..., object] = getattr(os, name), **options: object) -> object:  # noqa: B008 bound now, not when it is called
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        setattr(os, name, one)


@pytest.mark.parametrize("failing", ["gatepost.firewall.settle", "gatepost.deploy.settle", "postfix"])
def test_when_one_room_cannot_take_up_its_files_all_rooms_get_their_old_ones_back(tmp_path: Path, failing: str) -> None:
    """Never open, never unscanned: a firewall that cannot load its rules does not leave a relay with half of the new ones."""
    first = []

    def run(command: tuple[str, ...]) -> str:
        if any(failing in word for word in command) and not first:
            first.append(command)
            return "it does not want to"
        return ""

    machine = Machine(tmp_path)
    machine.apply(new=False)
    with pytest.raises(Exception, match="everything was put back"):
        Machine(tmp_path, run).apply(new=True)

    assert machine.files() == state(new=False)
    assert machine.transactions.ledger.state().pending is None
