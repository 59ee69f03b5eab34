"""Started as root, each process of the gateway is its own user, and none can touch what another one lives by."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.deploy.units.people import PEOPLE, Staff
from gatepost.services import gateway
from gatepost.services.gateway import Gateway, StartError
from gatepost.services.keeper import ask_once
from gatepost.services.messages import Delete, Introduce, Look, Note, Release, Request
from gatepost.services.rights import may
from gatepost.site.load import loads
from gatepost.system.accounts import Account, become, tried
from gatepost.system.sockets import connected
from tests.support.gateway import SITE
from tests.support.mails import CLEAN, INFECTED, send
from tests.support.ports import answers, free_port, wait_for
from tests.support.sink import Sink

FIRST, COMMON = 64_100, 64_150
STAFF: Staff = {
    one.process: Account(one.name, FIRST + number, FIRST + number, COMMON if one.group else FIRST + number, (FIRST + number, COMMON))
    for number, one in enumerate(PEOPLE)
}

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("as_root")]


class Running:
    """A gateway whose processes have users of their own, in a folder that others may enter."""

    def __init__(self, next_hop: int) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="gatepost-users-", dir="/var/tmp"))
        self.home.chmod(0o755)
        self.smtp = free_port()
        text = SITE.format(home=self.home, next_hop=next_hop, smtp=self.smtp, extra="")
        self.site = loads(text)
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setsid()
                Gateway(lambda: self.site, STAFF).serve()
            finally:
                os._exit(0)
        wait_for(lambda: answers(self.smtp) and {"keeper", "front", "watch", "scan worker 0"} <= self.table().keys(), "the gateway", 60)

    @property
    def keep(self) -> Path:
        return self.home / "run/keeper.sock"

    def table(self) -> dict[str, tuple[int, int, frozenset[int]]]:
        """Each child by its name as ps(1) shows it: user, first group, other groups."""
        found = {}
        for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
            groups = frozenset(map(int, fields["Groups"].split()))
            found[fields["Name"].strip()] = (int(fields["Uid"].split()[0]), int(fields["Gid"].split()[0]), groups)
        return found

    def sockets(self, name: str) -> set[str]:
        """The listening Unix sockets, by file name, whose descriptors a child holds."""
        listening = {
            line.split()[6]: line.split()[7] for line in Path("/proc/net/unix").read_text().splitlines()[1:] if len(line.split()) > 7
        }
        for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                inodes = [str(link.readlink()).removeprefix("socket:[").removesuffix("]") for link in Path(f"/proc/{pid}/fd").iterdir()]
                return {Path(listening[inode]).name for inode in inodes if inode in listening}
        raise AssertionError(f"no process {name}: {sorted(self.table())}")

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        shutil.rmtree(self.home)


@pytest.fixture
def running(sink: Sink) -> Iterator[Running]:
    if tried(STAFF["scan"], lambda: "" if all(os.access(path, os.R_OK | os.X_OK) for path in gateway.PROGRAM) else "closed"):
        pytest.skip("the checkout or its Python stands where other users may not look")
    one = Running(sink.port)
    yield one
    one.stop()


def as_user(process: str | Account, work: Callable[[], object]) -> str:
    """What happens when the user of a process tries: the name of the error, "" when it works."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            become(process if isinstance(process, Account) else STAFF[process])
            work()
        except BaseException as error:
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


def test_a_program_that_the_workers_may_not_read_is_said_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(gateway, "PROGRAM", (tmp_path,))
    with tempfile.TemporaryDirectory(dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        site = loads(SITE.format(home=home, next_hop=9, smtp=free_port(), extra=""))
        with pytest.raises(StartError, match="may not be read by the user of the scan workers"):
            Gateway(lambda: site, STAFF)


def test_each_process_has_its_user_and_mail_is_still_scanned_and_delivered(running: Running, sink: Sink) -> None:
    assert send(running.smtp, CLEAN)[0] == 250
    assert {send(running.smtp, content)[0] for content in INFECTED.values()} == {550}
    assert len(sink.wait(1)) == 1

    table = running.table()
    users = {name: STAFF[process].uid for name, process in (("keeper", "keeper"), ("front", "front"), ("watch", "watch"))}
    assert {name: uid for name, (uid, _, _) in table.items()} == users | {f"scan worker {n}": STAFF["scan"].uid for n in range(2)}
    assert {gid for _, gid, _ in table.values()} == {COMMON} | {STAFF[one].gid for one in ("front", "watch", "scan")}
    assert all(0 not in groups for _, _, groups in table.values())


def test_no_process_can_touch_what_another_one_lives_by(running: Running) -> None:
    send(running.smtp, next(iter(INFECTED.values())))
    state = running.home / "state"
    kept = next(path for path in (state / "quarantine").glob("*/*") if path.is_file())
    for process in ("front", "scan", "watch", "console", "signatures"):
        for deed in (
            kept.read_bytes,
            (state / "keys/receipts.key").read_bytes,
            (state / "quarantine/new").touch,
            (state / "new").touch,
            (state / "journal.sqlite").unlink,
            lambda: (state / "journal.sqlite").open("r+b").close(),
            lambda: os.rename(state / "firewall", state / "other"),  # noqa: PTH104
            (running.home / "run/keeper.sock").unlink,
            (running.home / "site.toml").touch,
        ):
            assert as_user(process, deed) == "PermissionError", (process, deed)
    assert as_user("keeper", kept.read_bytes) == ""
    assert as_user("keeper", lambda: os.rename(state / "firewall", state / "other")) == "PermissionError"  # noqa: PTH104
    assert as_user("console", (state / "journal.sqlite").read_bytes) == "", "it shows the journal"


def test_the_keeper_does_for_each_what_is_its_business_and_no_more(running: Running) -> None:
    def asks(process: str, request: Request) -> str:
        return as_user(process, lambda: ask_once(running.keep, request))

    assert asks("scan", Look()) == ""
    assert asks("scan", Introduce()) == "KeeperError"
    assert asks("scan", Note("firewall.applied", "x", {})) == "KeeperError"
    assert asks("front", Introduce()) == ""
    assert asks("front", Release("1", "a@example.org", "x")) == "KeeperError"
    assert asks("watch", Note("canary.passed", "x", {})) == ""


def test_a_listening_socket_is_held_by_its_process_alone(running: Running) -> None:
    assert running.sockets("keeper") == {"keeper.sock"}
    assert running.sockets("front") == {"milter.sock", "scan-1.sock"}
    assert running.sockets("scan worker 0") == set()
    assert running.sockets("watch") == set()


def test_who_is_no_scan_worker_is_not_given_mail(running: Running) -> None:
    """The socket's group keeps most out; whoever gets past it is asked for its user."""
    place = running.home / "run/scan-1.sock"
    pretender = replace(STAFF["watch"], groups=(STAFF["scan"].gid,))
    assert as_user(pretender, lambda: _heard(place)) == "ConnectionAbortedError"
    assert as_user("watch", lambda: _heard(place)) == "PermissionError"


def _heard(place: Path) -> None:
    """Connect, and wait for a mail as a scan worker does."""
    with connected(place) as sock:
        sock.settimeout(10)
        if not sock.recv(1):
            raise ConnectionAbortedError


def test_only_the_table_decides_who_may_ask_for_what() -> None:
    asked = Delete("1", "a@example.org", "x")
    assert may(asked, STAFF["console"].uid, STAFF)
    assert not may(asked, STAFF["front"].uid, STAFF)
    assert not may(asked, 64_199, STAFF)
    assert may(Look(), 64_199, STAFF)
    assert may(asked, 0, {})
