"""A console over a real journal and a real quarantine, with mail in it that means harm."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from gatepost.console.accounts import Accounts
from gatepost.console.app import application
from gatepost.console.database import Database
from gatepost.console.desk import DeskError, Forecast, Hit, Light
from gatepost.console.passkeys import Passkeys
from gatepost.console.rights import Role
from gatepost.console.sessions import Sessions
from gatepost.console.visit import Console
from gatepost.firewall import nft
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import Policy
from gatepost.firewall.reading import read_ruleset
from gatepost.firewall.ruleset import Ruleset
from gatepost.integrity.accept import AcceptError, Choice, accept
from gatepost.integrity.entry import path_of, shown
from gatepost.integrity.state import State
from gatepost.journal.event import Event, new_id
from gatepost.journal.store import SqliteJournal
from gatepost.mail.act.contents import Contents
from gatepost.mail.act.quarantine import Quarantine, QuarantineError
from gatepost.mail.model import Envelope
from gatepost.site.integrity import Integrity
from gatepost.site.model import Site
from tests.support.journal import finding, judged, recipient

NOW = 1_700_100_000.0
PASSWORD = "a long sentence is easy"
KEY = bytes(range(32))
SCRIPT = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"

HOSTILE = (
    (
        'From: "{script}" <evil@partner.example>\r\nTo: joe@widget.example\r\nSubject: {script}\r\nMIME-Version: 1.0\r\n'
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n'
        "<html><body onload=\"document.title='pwned'\">{script}<p>Dear \u202ereader</p><img src='http://tracker.example/x.gif'>"
        "<a href=\"javascript:document.title='pwned'\">bank.example</a></body></html>\r\n"
        '--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="{name}"\r\n\r\nMZ\r\n--b--\r\n'
    )
    .replace("{name}", "{script}")
    .format(script=SCRIPT.replace('"', "'"))
    .encode()
)


class Clock:
    """A clock that tests turn."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class QuarantineDesk:
    """Acts on the quarantine itself; what goes out is kept in `sent`. With `broken` the next hop takes nothing."""

    quarantine: Quarantine
    journal: SqliteJournal
    folder: Path
    undone: list[tuple[str, str, str]] = field(default_factory=list)
    sent: list[tuple[Envelope, bytes]] = field(default_factory=list)
    broken: bool = False

    def forecast(self, identifier: str, address: str, *, probe: bool = True) -> Forecast:
        try:
            seen = self.quarantine.forecast(identifier, address)
        except QuarantineError as error:
            raise DeskError(str(error)) from None
        answer = "" if not probe else "451 4.4.1 no answer" if self.broken else "250 2.1.5 ok"
        to = seen.envelope.recipients[0]
        return Forecast(seen.envelope.sender, to, seen.digest, seen.size, "mail.widget.example:25", answer, not self.broken, seen.others)

    def tell(self, kind: str, subject: str, data: dict[str, object]) -> None:
        self.journal.append([Event(NOW, kind, subject, data)], sync=True)

    def post(self, recipient: str, content: bytes) -> None:
        if self.broken:
            raise DeskError("the next hop does not answer")
        self.sent.append((Envelope("", (recipient,)), content))

    def release(self, identifier: str, address: str, by: str) -> None:
        if self.broken:
            raise DeskError("the next hop does not answer")
        try:
            self.quarantine.release(identifier, address, by, lambda envelope, data: self.sent.append((envelope, data)))
        except QuarantineError as error:
            raise DeskError(str(error)) from None

    def delete(self, identifier: str, address: str, by: str) -> None:
        self.quarantine.delete(identifier, address, by)

    def hits(self) -> tuple[Hit, ...]:
        return (Hit("clamav", "Win.Broad-1", 30, 40, 0.5, "undone" if self.undone else "braked"),)

    def undo(self, engine: str, name: str, by: str) -> tuple[int, tuple[str, ...]]:
        self.undone.append((engine, name, by))
        return 3, ()

    def redo(self, _engine: str, _name: str, _by: str) -> None:
        self.undone.clear()

    def ages(self) -> dict[str, float]:
        return {"engine clamav": 3 * 3600.0, "set local": 30 * 3600.0}

    def ruleset(self, policy: Policy) -> Ruleset:
        """The rules as the kernel takes them; a machine that has no nft or gives no namespaces skips the test."""
        try:
            return read_ruleset(nft.rehearse(reload_text(compile_policy(policy), ())))
        except nft.NftError as error:
            pytest.skip(f"needs nft and a network namespace: {error}")

    def accept(self, numbers: frozenset[int], by: str, why: str) -> list[str]:
        section = Integrity()
        state = State(self.folder / "integrity", section.signer, section.strict)
        try:
            chosen = accept(state, self.folder / "root", Choice(items=numbers), by, why, state.host_key(), NOW)
        except AcceptError as error:
            raise DeskError(str(error)) from None
        return [shown(path_of(one.key)) for one in chosen]

    def light(self) -> Light:
        return Light(well=True, sentence="mail is taken, and all of it is scanned before it is delivered", workers=2)


@dataclass
class House:
    """A console with everything behind it."""

    console: Console
    journal: SqliteJournal
    quarantine: Quarantine
    desk: QuarantineDesk
    clock: Clock
    database: Database

    def hold(self, number: int, raw: bytes, addresses: tuple[str, ...] = ("joe@widget.example",), **changes: Any) -> str:
        """Put a mail into the quarantine; gives its id."""
        digest = self.quarantine.keep(raw)
        recipients = [recipient(address, "quarantined", disposition="quarantine") for address in addresses]
        given = {"envelope": list(addresses), "recipients": recipients, "digest": digest, "size": len(raw), "kept": True}
        at = NOW - 1000 + number
        event = judged(number, "quarantined", **(given | {"findings": [finding("banned", "double-extension", "banned")]} | changes))
        event = Event(at, event.kind, new_id(at, number), event.data)
        self.journal.append([event], sync=True)
        return event.subject

    def client(self) -> TestClient:
        """A browser without memory."""
        return TestClient(application(self.console, ("testserver", "127.0.0.1")), follow_redirects=False)

    def person(self, role: Role = Role.ADMINISTRATOR, address: str = "") -> TestClient:
        """A browser in which somebody with this role is logged in."""
        name = f"{role}".replace(" ", "-")
        if self.console.accounts.find(name) is None:
            self.console.accounts.add(name, role, PASSWORD, address or ("joe@widget.example" if role is Role.USER else ""))
        client = self.client()
        client.cookies.set("gatepost", self.console.sessions.begin(name, "testclient"))
        return client


def login(client: TestClient, name: str, password: str = PASSWORD, code: str = "", then: str = "") -> Any:
    """Fill in the login form as a person does."""
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', client.get("/login").text.partition("<footer>")[0]))
    return client.post("/login", data=hidden | {"name": name, "password": password, "code": code, "then": then})


def field_of(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, f"no field {name} in {page[:300]}"
    return found[1]


def house(folder: Path) -> House:
    """A house with a clock of its own."""
    clock = Clock()
    site = Site.model_validate(
        {
            "site": {"name": "Company Widget", "state": str(folder), "run": str(folder)},
            "mail": {"domains": ["widget.example"], "next_hop": "mail.widget.example:25", "outbound": "out.example:25"},
            "console": {"listen": "127.0.0.1:8080"},
        }
    )
    journal = SqliteJournal(folder / "journal.sqlite")
    contents = Contents(folder / "quarantine", KEY)
    quarantine = Quarantine(contents, journal, clock)
    desk = QuarantineDesk(quarantine, journal, folder)
    database = Database(folder / "console.sqlite")
    sessions = Sessions(database, clock, site.console.idle, site.console.longest)
    console = Console(
        site, journal, contents, desk, Accounts(database, clock), sessions, clock, Passkeys(database, sessions, clock, "Company Widget")
    )
    return House(console, journal, quarantine, desk, clock, database)
