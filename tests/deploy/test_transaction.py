"""A change is whole or not at all: killed at any system call, the next call leaves the old files or the new ones."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.deploy.ledger import Ledger
from gatepost.deploy.machine import DeployError, present, wanted
from gatepost.deploy.plan import Fate, Plan, compare, diff
from gatepost.deploy.transaction import Transactions
from gatepost.system.artifact import Activation, Artifact

NOW = 1_000_000.0
ME = {"owner": "root", "group": "root"}

pytestmark = pytest.mark.usefixtures("as_root")


def quiet(_command: tuple[str, ...]) -> str:
    return ""


class Machine:
    """A tree, its ledger, and files that are wanted there."""

    def __init__(self, folder: Path, run: Callable[[tuple[str, ...]], str] = quiet) -> None:
        self.root = folder / "root"
        self.root.mkdir(exist_ok=True)
        self.transactions = Transactions(Ledger(folder / "deploy"), run, self.root)

    def plan(self, files: dict[str, str], take: frozenset[Path] = frozenset()) -> Plan:
        reload = Activation("daemon", commands=(("reload",),))
        artifacts = [Artifact(Path(path), text.encode(), activation=reload) for path, text in files.items()]
        owned = {Path(path): mark for path, mark in self.transactions.ledger.state().owned.items()}
        there = {path: present(self.root, path) for path in {*owned, *(one.path for one in artifacts)}}
        return compare([(one, wanted(one)) for one in artifacts], there, owned, take)

    def apply(self, files: dict[str, str], wait: float = 0, now: float = NOW) -> None:
        self.transactions.apply(self.plan(files), now, wait)

    def files(self) -> dict[str, str]:
        return {f"/{path.relative_to(self.root)}": path.read_text() for path in self.root.rglob("*") if path.is_file()}


OLD = {"/etc/one": "1", "/etc/two": "2", "/etc/gone": "g"}
NEW = {"/etc/one": "one", "/etc/two": "two", "/etc/deep/three": "three"}
CALLS = ("open", "write", "fsync", "rename", "unlink", "mkdir", "fchown", "fchmod", "close")


def killed_at(call: int, work: Callable[[], object]) -> bool:
    """Do `work` in a child that is killed before its `call`-th system call; whether it came to its end before."""
    pid = os.fork()
    if not pid:
        count = 0

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def one(*arguments: object, **options: object) -> object:
                nonlocal count
                count += 1
                if count == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **options)

            return one

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        work()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert status in {0, signal.SIGKILL}
    return status == 0


def at_every_call(
    folder: Path, work: Callable[[Machine], object], prepare: Callable[[Machine], object], check: Callable[[Machine], None]
) -> int:
    """Kill `work` at each of its system calls in turn, on a fresh machine each time; gives how many there are."""
    for call in range(1, 10_000):
        place = folder / str(call)
        place.mkdir()
        machine = Machine(place)
        prepare(machine)
        finished = killed_at(call, lambda machine=machine: work(machine))  # type: ignore[misc]
        check(Machine(place))
        if finished:
            return call - 1
    raise AssertionError("it never ends")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder where a sync costs nothing: a killed process loses no more there than on a disk."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        yield Path(name)


def test_killed_at_any_call_an_apply_leaves_old_or_new_and_never_a_mixture(memory: Path) -> None:
    ends = []

    def check(machine: Machine) -> None:
        machine.transactions.recover(NOW + 1)
        ends.append(machine.files())
        assert machine.files() in (OLD, NEW)
        machine.transactions.recover(NOW + 100)
        assert machine.files() == OLD, "nobody confirmed"

    calls = at_every_call(memory, lambda machine: machine.apply(NEW, wait=60), lambda machine: machine.apply(OLD), check)

    assert calls > 50
    assert OLD in ends
    assert NEW in ends


def test_killed_at_any_call_a_confirmation_happened_or_did_not(memory: Path) -> None:
    def prepare(machine: Machine) -> None:
        machine.apply(OLD)
        machine.apply(NEW, wait=60)

    def check(machine: Machine) -> None:
        assert machine.files() == NEW
        confirmed = machine.transactions.ledger.state().pending is None
        machine.transactions.recover(NOW + 100)
        assert machine.files() == (NEW if confirmed else OLD)
        assert machine.plan(OLD).conflicts == ()

    assert at_every_call(memory, lambda machine: machine.transactions.confirm(NOW + 1), prepare, check) > 3


@pytest.mark.parametrize("confirmed", [True, False])
def test_killed_at_any_call_a_rollback_is_finished_by_the_next_call(memory: Path, confirmed: bool) -> None:
    def prepare(machine: Machine) -> None:
        machine.apply(OLD)
        machine.apply(NEW, wait=0 if confirmed else 60)

    def check(machine: Machine) -> None:
        machine.transactions.recover(NOW + 1)
        assert machine.files() in (OLD, NEW)
        machine.transactions.recover(NOW + 100)
        assert machine.plan(OLD).conflicts == ()

    at_every_call(memory, lambda machine: machine.transactions.rollback(NOW + 1), prepare, check)


def test_a_rollback_puts_back_contents_modes_and_what_was_removed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.apply(OLD)
    machine.apply(NEW)
    assert machine.files() == NEW

    machine.transactions.rollback(NOW)
    assert machine.files() == OLD
    machine.transactions.rollback(NOW)
    assert machine.files() == {}


def test_a_daemon_that_does_not_take_its_files_gets_the_old_ones_back(tmp_path: Path) -> None:
    ran = []

    def run(command: tuple[str, ...]) -> str:
        ran.append(dict(machine.files()))
        return "no" if "two" in machine.files().get("/etc/two", "") else ""

    machine = Machine(tmp_path, run)
    machine.apply(OLD)

    with pytest.raises(DeployError, match="everything was put back, because reload said: no"):
        machine.apply(NEW)
    assert machine.files() == OLD
    assert ran[-1] == OLD, "the daemon was told to take the old files again"


def test_files_that_others_wrote_or_changed_are_never_overwritten_unasked(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (machine.root / "etc").mkdir()
    (machine.root / "etc/one").write_text("by hand")

    (conflict,) = machine.plan(OLD).conflicts
    assert (conflict.path, conflict.fate, conflict.conflict) == (Path("/etc/one"), Fate.CONFLICT, "Gatepost did not write this file")
    with pytest.raises(DeployError, match="--take /etc/one"):
        machine.apply(OLD)
    assert machine.files() == {"/etc/one": "by hand"}

    machine.transactions.apply(machine.plan(OLD, take=frozenset({Path("/etc/one")})), NOW, 0)
    assert machine.files() == OLD
    (machine.root / "etc/two").write_text("by hand")
    (conflict,) = machine.plan(NEW).conflicts
    assert conflict.conflict == "somebody changed this file since Gatepost wrote it"
    (machine.root / "etc/two").write_text("2")
    machine.transactions.rollback(NOW)
    assert machine.files() == {"/etc/one": "by hand"}


def test_a_link_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (machine.root / "etc").mkdir()
    (machine.root / "etc/one").symlink_to("/etc/passwd")

    with pytest.raises(DeployError, match="not a plain file"):
        machine.plan(OLD)


def test_nothing_is_applied_while_a_change_waits(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.apply(OLD, wait=60)

    with pytest.raises(DeployError, match="waits for its confirmation"):
        machine.apply(NEW)
    assert machine.transactions.confirm(NOW + 1) == 1
    with pytest.raises(DeployError, match="nothing waits"):
        machine.transactions.confirm(NOW + 1)


def test_a_confirmation_that_comes_too_late_finds_the_change_undone(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.apply(OLD, wait=60)

    with pytest.raises(DeployError, match="undone"):
        machine.transactions.confirm(NOW + 61)
    assert machine.files() == {}
    assert machine.transactions.ledger.state().ends == {1: "not confirmed, put back"}


def test_a_difference_is_shown_but_not_of_secrets(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.apply(OLD)

    change = machine.plan({**OLD, "/etc/one": "new"}).work[0]
    assert diff(change)[-2:] == ["-1", "+new"]
    secret = compare([(one := Artifact(Path("/etc/key"), b"secret", mode=0o600), wanted(one))], {}, {}).work[0]
    assert "secret" not in " ".join(diff(secret))
