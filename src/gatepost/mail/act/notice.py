"""The notices to our own people: that their mail did not leave, that a mail they got turned out to be bad.

What it does: says whether a notice is due, and writes it. Only senders inside, at our own domains, ever get one: nothing goes to a
stranger, whose address may be forged.
Not its job: sending; telling a sender whose mail was refused in the SMTP dialogue, which the reply has done.
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate

from gatepost.mail.act.alert import clean, compose_text
from gatepost.mail.act.recall import Recalled
from gatepost.mail.model import Decision, Direction, Disposition, Envelope, Kind

WORDS = {
    Kind.VIRUS: "a virus was found in it",
    Kind.BANNED: "it carries a kind of file that may not be sent",
    Kind.SPAM: "it looks like spam",
    Kind.SUSPECT: "something in it behaves like an attack",
    Kind.AMBIGUOUS: "it is built so that mail programs could read it in different ways",
    Kind.ENCRYPTED: "it is encrypted and could not be checked",
    Kind.UNCHECKED: "it could not be checked completely",
}


def wants_notice(envelope: Envelope, decisions: Sequence[Decision], *, inside: bool, ours: bool) -> bool:
    """Whether the sender must be told: `inside` says that the sending host or user is ours, `ours` that the sender's domain is."""
    held = any(decision.disposition is Disposition.QUARANTINE and decision.direction is not Direction.INBOUND for decision in decisions)
    return held and inside and ours and bool(envelope.sender)


def compose_notice(
    identifier: str, envelope: Envelope, decisions: Sequence[Decision], postmaster: str, now: float
) -> tuple[Envelope, bytes]:
    """The notice: for whom the mail was held and why, in plain words, without any content of the mail."""
    held = [decision for decision in decisions if decision.disposition is Disposition.QUARANTINE]
    reasons = list(dict.fromkeys(WORDS[decision.findings[0].kind] for decision in held if decision.findings))
    lines = [
        "Your mail was stopped before it left our network.",
        "",
        f"For:     {', '.join(clean(decision.recipient) for decision in held)}",
        f"Because: {'; '.join(reasons) or 'our mail policy does not allow it'}",
        f"Number:  {identifier}",
        "",
        f"Nobody outside has seen it. If it should go, ask {postmaster} and name the number.",
        "",
    ]
    return compose_text("Your mail was stopped", lines, postmaster, (envelope.sender,), now)


def compose_recall(identifier: str, found: Recalled, recipient: str, postmaster: str, now: float) -> tuple[Envelope, bytes]:
    """The notice to one of our own recipients: which mail not to open, in plain words, without any content of the mail."""
    files = ", ".join(dict.fromkeys(clean(hit.file) for hit in found.hits if hit.file))
    lines = [
        "A mail that you received has turned out to be dangerous. When it came, nobody could know.",
        "",
        f"From:    {clean(found.sender) or 'nobody'}",
        f"Subject: {clean(found.subject)}",
        f"Came:    {formatdate(found.at)}",
        *([f"File:    {files}"] if files else []),
        f"Number:  {identifier}",
        "",
        "Do not open it. Delete it. If you have opened it already, call your administrator at once,",
        f"or write to {postmaster} from another computer, and name the number.",
        "",
    ]
    return compose_text("Do not open a mail that you received", lines, postmaster, (recipient,), now)
