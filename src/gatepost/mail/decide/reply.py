"""One answer for all recipients of a mail, and its words.

What it does: makes the decisions of several recipients fit the single answer that SMTP and the milter protocol have at end of
data (RFC 5321 4.1.1.4), and words it. Nothing that the mail says is repeated: no file name, no subject, no address.
Not its job: keeping or telling (`act`).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gatepost.mail.model import Answer, Decision, Disposition, HeaderEdit, Kind, Reply

WITH_OTHERS = "with-other-recipients"
"""The rule of a recipient whose mail comes again only because that of another recipient must."""

_REFUSED = {
    Kind.VIRUS: "it carries a virus",
    Kind.BANNED: "it carries a kind of file that is not allowed here",
    Kind.SPAM: "it looks like spam",
    Kind.SUSPECT: "it carries something that behaves like an attack",
    Kind.AMBIGUOUS: "mail programs could read it in different ways",
    Kind.ENCRYPTED: "it carries encrypted content that cannot be checked",
    Kind.UNCHECKED: "it could not be checked completely",
}

DELIVERED = {Disposition.DELIVER, Disposition.DELIVER_CLEANED}


def settle(decisions: Sequence[Decision], *, cleaned: bool = False) -> tuple[Decision, ...]:
    """Decisions that one answer can carry out.

    If one must come again, all must, or the others would get it twice. Refused is only what is refused for all; otherwise it is
    kept for those recipients and an alert says so, for a bounce would go to a forged sender. `cleaned` says whether a cleaned
    mail exists; it stands in for the whole mail, so where one recipient gets the original, the cleaned ones are kept.
    """
    if any(decision.disposition is Disposition.TEMPFAIL for decision in decisions):
        return tuple(_again(decision) for decision in decisions)
    ends = {decision.disposition for decision in decisions}
    unfit = set() if ends == {Disposition.REJECT} else {Disposition.REJECT}
    if not cleaned or Disposition.DELIVER in ends:
        unfit.add(Disposition.DELIVER_CLEANED)
    return tuple(
        replace(decision, disposition=Disposition.QUARANTINE, tag="") if decision.disposition in unfit else decision
        for decision in decisions
    )


def _again(decision: Decision) -> Decision:
    if decision.disposition is Disposition.TEMPFAIL:
        return decision
    return replace(decision, disposition=Disposition.TEMPFAIL, rule=WITH_OTHERS, tag="")


def combine(decisions: Sequence[Decision], identifier: str, headers: tuple[HeaderEdit, ...] = (), cleaned: bytes | None = None) -> Answer:
    """The answer to settled decisions; `identifier` is the id by which the administrator finds the mail."""
    reply = reply_for(decisions, identifier)
    recipients = tuple(decision.recipient for decision in decisions if decision.disposition in DELIVERED)
    if not recipients:
        return Answer(reply)
    body = cleaned if any(decision.disposition is Disposition.DELIVER_CLEANED for decision in decisions) else None
    return Answer(reply, recipients, headers, body)


def reply_for(decisions: Sequence[Decision], identifier: str) -> Reply:
    """The SMTP reply at end of data (codes: RFC 5321 4.2, RFC 3463). With no recipient there is nothing to promise."""
    ends = {decision.disposition for decision in decisions}
    if not ends or Disposition.TEMPFAIL in ends:
        return Reply(451, "4.7.1", f"not checked completely yet, nothing is delivered unchecked; try again later ({identifier})")
    if ends == {Disposition.REJECT}:
        return Reply(550, "5.7.1", f"refused: {_reason(decisions[0])}; nobody got it ({identifier})")
    if ends.isdisjoint(DELIVERED):
        return Reply(250, "2.0.0", f"kept for review by the administrator ({identifier})")
    return Reply(250, "2.0.0", f"accepted ({identifier})")


def _reason(decision: Decision) -> str:
    """Words for the finding that decided."""
    return _REFUSED[decision.findings[0].kind] if decision.findings else "the policy of this site does not allow it"
