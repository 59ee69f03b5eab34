"""The lawful hold: mail of one address is kept for a case of law, after two people signed for it, readable by those two together only.

What it does: makes the statement that is signed, judges from the journal whether a hold is in force, copies what is kept of the mail in its
scope, encrypted in two layers, and writes each step down. The journal's hash chain shows whether a step was altered.
Not its job: holding mail back from people, and mail of which nothing is kept (`quarantine`, section `retro`). Root of the keeper's machine can
read whatever lies there; this is the way that leaves a trace, not a wall against root.
Raises: `HoldError`; `JournalError`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from gatepost.integrity.sign import KeyFileError, Signer, public_key
from gatepost.journal.event import Event
from gatepost.journal.interface import Journal, Query
from gatepost.mail.act.contents import ContentError, Contents
from gatepost.services import keys
from gatepost.services.retained import Retained
from gatepost.site.hold import Hold as Section
from gatepost.site.model import Site
from gatepost.system.files import make_directory, write_atomic

ASKED, APPROVED, COLLECTED, ENDED, OPENED = "hold.asked", "hold.approved", "hold.collected", "hold.ended", "hold.opened"
"""Kinds of events; their subject is the id of the hold."""
NEEDED = 2
"""Approvals."""
_EVERYTHING = 1_000_000


class HoldError(Exception):
    """The hold is not possible; says why and what is needed."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What is asked for: mail from and to `address` of a time, until the hold `expires` (all in seconds since the epoch), and why."""

    id: str
    address: str
    since: float
    until: float
    expires: float
    why: str
    by: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A hold with who approved it, how many mails were kept, and whether it is waiting, active, expired or ended."""

    hold: Hold
    approved: tuple[str, ...]
    kept: int
    state: str


def asked(site: Section, hold: Hold, now: float) -> dict[str, Any]:
    """The data of the event by which a hold begins to wait. Raises HoldError."""
    if len(site.approvers) < NEEDED:
        raise HoldError("holds are switched off: the site file names fewer than two hold.approvers")
    if "@" not in hold.address or not hold.why.strip() or not hold.by.strip():
        raise HoldError("a hold names one whole address, a reason and who asks")
    if not hold.since < hold.until or not now < hold.expires <= now + site.longest:
        raise HoldError(f"a hold has a time from-until, and ends within {site.longest / 86_400:.0f} days from now")
    return asdict(hold)


def statement(hold: Hold) -> bytes:
    """What approvers sign: every word of the hold, in one form."""
    return b"gatepost hold\n" + msgspec.json.encode(asdict(hold), order="sorted")


def words(hold: Hold) -> str:
    """What approvers read before they sign."""
    since, until, expires = (
        dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M") for at in (hold.since, hold.until, hold.expires)
    )
    return f"hold {hold.id}: all kept mail from and to {hold.address}, {since} to {until}\n  why: {hold.why}\n  asked by {hold.by}, ends {expires}"


def approval(site: Section, hold: Hold, signer: Signer) -> dict[str, Any]:
    """The data of the event by which the owner of a key approves. Raises HoldError."""
    name = next((name for name, one in site.approvers.items() if one.key == signer.public.text), "")
    if not name:
        raise HoldError("this key belongs to none of the site's hold.approvers")
    return {"who": name, "signature": signer.sign(statement(hold)).hex()}


def standing(site: Section, events: Iterable[Event], now: float) -> Standing:
    """Judge one hold from all its events. An approval counts when its signature is that of an approver over this very hold."""
    told = list(events)
    begun = next((event for event in told if event.kind == ASKED), None)
    if begun is None:
        raise HoldError("there is no such hold; gatepost hold list shows them")
    hold = msgspec.convert(dict(begun.data), Hold)
    approved = tuple(dict.fromkeys(event.data["who"] for event in told if event.kind == APPROVED and _is_signed(site, hold, event.data)))
    kept = sum(len(event.data["digests"]) for event in told if event.kind == COLLECTED)
    ended = any(event.kind == ENDED for event in told)
    state = "ended" if ended else "expired" if now >= hold.expires else "active" if len(approved) >= NEEDED else "waiting"
    return Standing(hold, approved, kept, state)


def _is_signed(site: Section, hold: Hold, data: Mapping[str, Any]) -> bool:
    approver = site.approvers.get(data["who"])
    try:
        return approver is not None and public_key(approver.key).verifies(bytes.fromhex(data["signature"]), statement(hold))
    except (KeyFileError, ValueError):
        return False


def holds(site: Section, journal: Journal, now: float) -> list[Standing]:
    """All holds, newest first."""
    begun = journal.newest(ASKED, _EVERYTHING)
    return [one_hold(site, journal, event.subject, now) for event in begun]


def one_hold(site: Section, journal: Journal, name: str, now: float) -> Standing:
    """One hold. Raises HoldError when there is none."""
    return standing(site, (event for _number, event in journal.events(subject=name)), now)


def audit(journal: Journal, name: str) -> list[Event]:
    """Every step of a hold, oldest first; raises JournalError when the chain is broken."""
    journal.verify()
    return [event for _number, event in journal.events(subject=name) if event.kind.startswith("hold.")]


def collect(site: Site, journal: Journal, name: str, now: float) -> dict[str, Any]:
    """Copy what is kept of the mail in scope, encrypted; gives the data of the event. Raises HoldError unless two approved."""
    found = one_hold(site.hold, journal, name, now)
    if found.state != "active":
        raise HoldError(f"hold {name} is {found.state}: {len(found.approved)} of {NEEDED} approvals; nothing is read")
    recipients = [site.hold.approvers[who].age for who in found.approved[:NEEDED]]
    folder = Path(site.site.state) / "holds" / name
    make_directory(folder)
    written = []
    for digest in _digests(journal, found.hold):
        path = folder / f"{digest}.eml.age"
        content = None if path.exists() else _content(site, digest)
        if content is not None:
            write_atomic(path, sealed(content, recipients))
            written.append(digest)
    return {"digests": written, "folder": str(folder)}


def _digests(journal: Journal, hold: Hold) -> Iterator[str]:
    """Each mail in scope once."""
    found: dict[str, None] = {}
    for query in (
        Query(sender=hold.address, since=hold.since, until=hold.until, limit=_EVERYTHING),
        Query(recipient=hold.address, since=hold.since, until=hold.until, limit=_EVERYTHING),
    ):
        found |= {row.digest: None for row in journal.search(query)}
    return iter(found)


def _content(site: Site, digest: str) -> bytes | None:
    """The bytes of a mail from quarantine or from the copies of delivered mail; None where nothing is kept of it."""
    for place in _places(site):
        try:
            return place.get(digest)
        except ContentError:
            continue
    return None


def _places(site: Site) -> Iterator[Contents | Retained]:
    state = Path(site.site.state)
    if (state / "quarantine").is_dir():
        yield Contents(state / "quarantine", keys.secret(state / "keys", "quarantine") if site.quarantine.encrypt else None)
    if (state / "retained").is_dir():
        yield Retained(site)


def sealed(content: bytes, recipients: Sequence[str]) -> bytes:
    """Encrypted to the first, and that to the second, so that no one of them can open it alone. Raises HoldError."""
    age = _age()
    for one in recipients:
        content = age.encrypt(content, [age.x25519.Recipient.from_str(one)])
    return content


def opened(content: bytes, identities: Sequence[str]) -> bytes:
    """The mail, with the identities of both approvers in either order. Raises HoldError."""
    age = _age()
    for order in (identities, identities[::-1]) if len(identities) == NEEDED else ():
        inner = content
        try:
            for one in order:
                inner = age.decrypt(inner, [age.x25519.Identity.from_str(one)])
        except (age.DecryptError, age.IdentityError):
            continue
        return inner
    raise HoldError("these identities do not open it; both approvers' are needed")


def new_identity() -> tuple[str, str]:
    """A new private identity and its public half. Raises HoldError."""
    made = _age().x25519.Identity.generate()
    return str(made), str(made.to_public())


def _age() -> Any:
    try:
        return import_module("pyrage")
    except ImportError:
        raise HoldError("encryption to the approvers needs pyrage; install gatepost[hold]") from None
