"""The classic open-relay probes: twenty ways to ask a relay to carry strangers' mail to strangers, and who must refuse.

What it does: names each probe with its envelope, so that a test and an administrator run the same ones.
Not its job: sending them (`probe`).
Raises: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Probe:
    """One envelope, as it goes on the wire between MAIL FROM: and RCPT TO: (with brackets), and what it tries."""

    name: str
    sender: str
    recipient: str
    trick: str


def probes(domain: str, relay: str, address: str, victim: str = "nobody@relay-test.invalid") -> tuple[Probe, ...]:
    """The twenty probes against a relay for `domain`, called `relay`, at `address`; `victim` is a stranger's address that cannot exist."""
    user, _, there = victim.partition("@")
    inside, outside = f"<postmaster@{domain}>", "<probe@relay-test.invalid>"
    return (
        Probe("plain", outside, f"<{victim}>", "a stranger to a stranger"),
        Probe("no brackets", outside, victim, "a stranger to a stranger, without brackets"),
        Probe("null sender", "<>", f"<{victim}>", "as a bounce"),
        Probe("own domain", inside, f"<{victim}>", "as one of our people"),
        Probe("own host", f"<postmaster@{relay}>", f"<{victim}>", "as the relay itself"),
        Probe("own address", f"<postmaster@[{address}]>", f"<{victim}>", "as the relay itself, by address"),
        Probe("no domain", "<postmaster>", f"<{victim}>", "as somebody on the relay"),
        Probe("localhost", "<root@localhost>", f"<{victim}>", "as somebody on the relay"),
        Probe("percent", outside, f"<{user}%{there}@{domain}>", "user%host at our domain"),
        Probe("percent at the host", outside, f"<{user}%{there}@{relay}>", "user%host at the relay"),
        Probe("percent at the address", outside, f"<{user}%{there}@[{address}]>", "user%host at the relay's address"),
        Probe("quoted", outside, f'<"{victim}">', "the whole address in quotes"),
        Probe("quoted at us", outside, f'<"{victim}"@{domain}>', "a whole address in quotes at our domain"),
        Probe("two ats", outside, f"<{victim}@{domain}>", "user@host at our domain"),
        Probe("two ats at the address", outside, f"<{victim}@[{address}]>", "user@host at the relay's address"),
        Probe("source route", outside, f"<@{domain}:{victim}>", "a source route by our domain (RFC 5321 C)"),
        Probe("source route by address", outside, f"<@[{address}]:{victim}>", "a source route by the relay's address"),
        Probe("bang", outside, f"<{there}!{user}>", "host!user"),
        Probe("bang at us", outside, f"<{there}!{user}@{domain}>", "host!user at our domain"),
        Probe("bang at the address", inside, f"<{there}!{user}@[{address}]>", "host!user at the relay's address, as one of our people"),
    )
