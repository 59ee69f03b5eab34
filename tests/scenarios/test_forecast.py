"""What the console says before a release is what the running gateway then does, and each mail's page names the rule that decided."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from gatepost.console.app import application
from gatepost.console.rights import Role
from gatepost.journal.interface import Row
from gatepost.journal.states import State
from gatepost.services.consoled import console
from gatepost.site.load import load
from tests.support.console import PASSWORD
from tests.support.eicar import EICAR
from tests.support.gateway import Gateway
from tests.support.mails import mail, send, zipped
from tests.support.nexthop import FaultyHop

RULES = """
[[policy.rules]]
name = "lab-sees-viruses"
recipients = ["lab@widget.example"]
findings = ["virus"]
then = "quarantine"
reason = "The laboratory looks at them."

[[policy.rules]]
name = "workshop-gets-programs"
recipients = ["workshop@widget.example"]
findings = ["banned"]
then = "deliver"

[[policy.rules]]
name = "bob-refuses-programs"
recipients = ["bob@widget.example"]
findings = ["banned"]
then = "reject"
"""

BOB, LAB, WORKSHOP, GONE = "bob@widget.example", "lab@widget.example", "workshop@widget.example", "gone@widget.example"
REFUSAL = "550 5.1.1 nobody of that name"


@dataclass(frozen=True)
class Script:
    """One mail: its file, for whom, and for each recipient the rule that must decide."""

    file: tuple[str, bytes]
    rules: dict[str, str]


def scripts() -> list[Script]:
    """Fifty: five kinds of mail to ten sets of people."""
    virus = {BOB: "default.virus.inbound", LAB: "lab-sees-viruses", WORKSHOP: "default.virus.inbound", GONE: "default.virus.inbound"}
    program = {
        BOB: "bob-refuses-programs",
        LAB: "default.banned.inbound",
        WORKSHOP: "workshop-gets-programs",
        GONE: "default.banned.inbound",
    }
    clean = dict.fromkeys((BOB, LAB, WORKSHOP, GONE), "clean")
    kinds = [
        (("data.bin", EICAR), virus),
        (("data.zip", zipped("deep.zip", zipped("data.txt", EICAR))), virus),
        (("photo.jpg.exe", b"MZ" + bytes(200)), program),
        (("tools.zip", zipped("setup.exe", b"MZ" + bytes(200))), program),
        (("notes.zip", zipped("notes.txt", b"fine\n")), clean),
    ]
    groups = [
        (BOB,),
        (LAB,),
        (WORKSHOP,),
        (GONE,),
        (BOB, LAB),
        (LAB, WORKSHOP),
        (BOB, GONE),
        (LAB, GONE),
        (BOB, LAB, WORKSHOP),
        (GONE, WORKSHOP),
    ]
    return [Script(file, {who: rules[who] for who in group}) for file, rules in kinds for group in groups]


@pytest.fixture
def hop() -> Iterator[FaultyHop]:
    """A next hop on a thread of its own."""
    loop, made = asyncio.new_event_loop(), FaultyHop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result()
    yield made
    asyncio.run_coroutine_threadsafe(made.__aexit__(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.fixture
def gateway(tmp_path: Path, hop: FaultyHop) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "gateway", hop.port, RULES).start()
    yield made
    print(made.log())
    made.stop()


@pytest.fixture
def client(gateway: Gateway) -> TestClient:
    """An administrator's browser at a console over the running gateway."""
    made = console(load(gateway.site))
    made.accounts.add("anna", Role.ADMINISTRATOR, PASSWORD)
    found = TestClient(application(made, ("testserver",)), follow_redirects=False)
    found.cookies.set("gatepost", made.sessions.begin("anna", "testclient"))
    return found


def rules_on(client: TestClient, identifier: str) -> dict[str, str]:
    """The deciding rule for each recipient, as a mail's page has it."""
    page = client.get(f"/messages/{identifier}").text
    rows = re.findall(r'<tr><td class="address">([^<]+)</td>.*?<td class="code">([^<]+)</td></tr>', page)
    return {unescape(address): rule for address, rule in rows}


def test_for_fifty_mails_the_page_names_the_deciding_rule_and_the_forecast_is_what_a_release_then_does(
    gateway: Gateway, client: TestClient, hop: FaultyHop
) -> None:
    sent = scripts()
    originals = {}
    for number, one in enumerate(sent):
        originals[f"mail {number}"] = raw = mail(f"mail {number}", file=one.file)
        send(gateway.smtp, raw, recipients=tuple(one.rules), forwarded="203.0.113.7")
    rows = gateway.rows(30, sum(len(one.rules) for one in sent))
    by_subject = {row.subject: row.id for row in rows}
    for number, one in enumerate(sent):
        assert rules_on(client, by_subject[f"mail {number}"]) == one.rules, number

    hop.faults[f"RCPT {GONE}"] = REFUSAL
    held = [row for row in rows if row.kept and row.state in {State.QUARANTINED, State.REJECTED}]
    outcomes = [_release(client, hop, gateway, row, originals[row.subject]) for row in held]

    assert len(sent) == 50
    assert outcomes.count("taken") > 20
    assert outcomes.count("refused") > 5


def _release(client: TestClient, hop: FaultyHop, gateway: Gateway, row: Row, original: bytes) -> str:
    """Ask, release, and compare; gives what both said."""
    path, before = f"/api/v1/quarantine/{row.id}", len(hop.taken)
    said = client.get(f"{path}/plan", params={"recipient": row.recipient}).json()["forecast"]
    assert len(hop.taken) == before, "asking sent something"
    form = re.search(r'name="form" value="([^"]+)"', client.get("/quarantine").text)
    assert form is not None
    done = client.post(f"{path}/release", json={"recipient": row.recipient}, headers={"X-Gatepost-Form": form[1]})
    states = {one.recipient: one.state for one in client_rows(gateway, row.id)}
    assert (said["digest"], said["size"]) == (hashlib.sha256(original).hexdigest(), len(original))
    assert said["next_hop"] == f"127.0.0.1:{hop.port}"
    if not said["taken"]:
        assert said["answer"] == REFUSAL
        assert done.status_code == 409
        assert REFUSAL in done.json()["error"]
        assert (len(hop.taken), states[row.recipient]) == (before, row.state)
        return "refused"
    assert done.status_code == 200, done.text
    (taken,) = hop.taken[before:]
    assert taken.mail.startswith(f"MAIL FROM:<{said['sender']}>")
    assert (taken.recipients, taken.content) == ([said["recipient"]], original)
    assert states[row.recipient] is State.RELEASED
    assert {address for address, state in states.items() if state is State.QUARANTINED} == set(said["others"])
    return "taken"


def client_rows(gateway: Gateway, identifier: str) -> list[Row]:
    """The rows of one mail as the journal has them now."""
    return [row for row in gateway.rows(0.1) if row.id == identifier]
