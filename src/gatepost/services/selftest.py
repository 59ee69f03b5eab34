"""The self-test's live half: mail of our own through the running gateway, in and out, and a stranger at the door.

What it does: sends canaries as a stranger and as one of us to our SMTP listener and through the MTA, asks the listener to relay for a
stranger in twenty ways, and reads the whole journal. Nothing of it is ever delivered.
Not its job: what can be seen without sending (`gatepost.deploy.doctor`).
Raises: nothing; what cannot be tried is told as such.
"""

from __future__ import annotations

import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

from gatepost.deploy import storage
from gatepost.deploy.doctor.check import Check, Machine, Seen, error, warning, well
from gatepost.journal.interface import JournalError
from gatepost.relay.probes import probes
from gatepost.services import canary
from gatepost.services.keeper import KeeperError, ask_once
from gatepost.services.messages import Introduce, Introduced
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site

PASSED, FAULTS = "selftest.passed", "selftest.failed"
"""Kinds of the journal's events."""

STRANGER = "192.0.2.99"
"""An address that is nobody's (RFC 5737): who comes from there is a stranger to every site."""

SECONDS = 120.0

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 where we ask, for a listener that binds all


def ways(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether the test file is stopped, and clean mail taken, in both directions and wherever mail comes in."""
    secret = _secret(site)
    if isinstance(secret, Seen):
        yield secret
        return
    tries = [(site.mail.smtp.listen, True, STRANGER, site.postmaster, "in"), (site.mail.smtp.listen, True, "", site.canary.outside, "out")]
    tries += [(site.canary.through or "", False, "", one, way) for one, way in ((site.postmaster, "in"), (site.canary.outside, "out"))]
    for place, direct, client, recipient, way in tries:
        if place:
            yield _way(site, secret, place, direct=direct, client=client, recipient=recipient, way=way)


def _secret(site: Site) -> bytes | Seen:
    try:
        given = ask_once(Path(site.site.run) / "keeper.sock", Introduce())
    except (KeeperError, OSError) as cause:
        return error(f"nothing could be sent: the keeper does not answer ({cause})", "start the gateway: gatepost mail serve")
    assert isinstance(given, Introduced)
    return given.canaries


def _way(site: Site, secret: bytes, place: str, *, direct: bool, client: str, recipient: str, way: str) -> Seen:
    """What became of an infected and of a clean mail on one way."""
    where = f"on the way {way} by {place}"
    for infected in (True, False):
        sent = canary.make(secret, site.postmaster, time.time(), infected=infected)
        answer = _send(site, sent.content, place, client, recipient)
        if isinstance(answer, str):
            return _not_taken(where, recipient, answer, out=way == "out")
        if wrong := canary.wrong(sent, *answer, canary.expected(site), direct=direct):
            return error(f"{where}: {wrong}", "look at the engines with gatepost engines list, at the MTA's milter lines, and at the log")
    return well(f"{where} the test file is stopped and clean mail is taken")


def _not_taken(where: str, recipient: str, answer: str, *, out: bool) -> Seen:
    if out and answer.startswith("5"):
        return warning(
            f"{where} nothing could be tried: {recipient} is not taken: {answer}",
            "name an address outside that the next hop takes as canary.outside in the site file; it never gets anything",
        )
    return error(f"{where} nothing could be sent: {answer}", "look at the findings about ports and next hops")


def _send(site: Site, content: bytes, place: str, client: str, recipient: str) -> tuple[int, str] | str:
    """The answer to a mail, or why it did not come so far."""
    try:
        with _greeted(place, client) as session:
            for code, answer in (session.mail(site.postmaster), session.rcpt(recipient)):
                if code != 250:  # noqa: PLR2004 RFC 5321 4.2.1
                    return f"{code} {answer.decode(errors='replace')}"
            code, answer = session.data(content)
            return code, answer.decode(errors="replace")
    except (smtplib.SMTPException, OSError) as cause:
        return str(cause)


def _greeted(place: str, client: str) -> smtplib.SMTP:
    """A session that has said who it is; with `client` we say for whom we speak, as the MTA before us does (XFORWARD)."""
    endpoint = parse_endpoint(place, 25)
    session = smtplib.SMTP(ANYWHERE.get(endpoint.host, endpoint.host), endpoint.port, timeout=SECONDS)
    session.ehlo("selftest.invalid")
    if client:
        session.docmd("XFORWARD", f"ADDR={client}")
    return session


def relaying(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether our SMTP listener refuses to carry a stranger's mail to strangers, however it is asked."""
    if not site.mail.smtp.listen:
        return
    open_for = []
    try:
        for probe in probes(site.mail.domains[0], "relay.invalid", "192.0.2.1"):
            with _greeted(site.mail.smtp.listen, STRANGER) as session:
                code, _ = session.docmd(f"MAIL FROM:{probe.sender}")
                if code == 250 and session.docmd(f"RCPT TO:{probe.recipient}")[0] < 400:  # noqa: PLR2004 RFC 5321 4.2.1
                    open_for.append(probe.name)
    except (smtplib.SMTPException, OSError) as cause:
        yield error(f"our SMTP listener could not be asked: {cause}", "look at the findings about ports")
        return
    if open_for:
        yield error(f"an open relay: a stranger may send to strangers by {', '.join(open_for)}", "look at mail.relay_from and mail.domains")
    else:
        yield well("twenty ways to relay for a stranger are refused")


def chain(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether every link of the journal's chain holds."""
    try:
        found = storage.journal(site).verify()
    except JournalError as cause:
        yield error(str(cause), "restore the newest backup: gatepost restore")
        return
    yield well(f"{found.events} events, and each fits the one before it")


LIVE = (
    Check("mail", "the EICAR test file is stopped and clean mail is taken, in and out, by our listener and through the MTA", ways),
    Check("open relay", "our SMTP listener refuses a stranger's mail to strangers in all of twenty ways", relaying),
    Check("journal chain", "every event of the journal fits the one before it", chain),
)
"""What the self-test tries besides the checks of the doctor."""
