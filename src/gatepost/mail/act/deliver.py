"""Handing a mail on to the next hop: the interface, and what its answers mean for ours.

What it does: says what a `NextHop` is, merges the answers for several recipients into one, and remembers who has a mail already.
Not its job: the dialogue itself (`hop`), or judging mail.
Raises: nothing. Whatever goes wrong on the way is a reply with a 4xx or 5xx code: only the next hop can say 250.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

from gatepost.mail.act.rewrite import Outgoing
from gatepost.mail.model import Buffer, Envelope, Reply

REMEMBERED = 10_000


class Transaction(Protocol):
    """One mail being handed on. Nothing has reached the next hop before `deliver` returns a 2xx for a recipient."""

    async def recipient(self, address: str, parameters: tuple[str, ...] = ()) -> Reply:
        """Ask the next hop to take one more recipient; 2xx: it does."""
        ...

    async def deliver(self, outgoing: Outgoing, recipients: tuple[str, ...]) -> dict[str, Reply]:
        """Hand the mail on to these of the recipients taken before; gives the next hop's reply for each."""
        ...

    async def abandon(self) -> None:
        """Give up: the next hop gets no mail. Harmless after `deliver`."""
        ...


class NextHop(Protocol):
    """Where mail goes on to."""

    def begin(self, envelope: Envelope, forwarded: Mapping[str, str]) -> Transaction:
        """Begin a transaction for the sender in `envelope`. `forwarded` are XFORWARD attributes, passed on where the next hop takes them."""
        ...


def succeeded(reply: Reply) -> bool:
    """Whether `reply` takes responsibility (RFC 5321 4.2.1: the first digit says it)."""
    return 200 <= reply.code < 300  # noqa: PLR2004


def merged(replies: Mapping[str, Reply]) -> Reply:
    """Make the one answer that SMTP has of the answers for each recipient, so that nothing is lost and a retry is asked for where one helps.

    All taken: the first reply. Any temporary failure: 451, and the mail comes again. Else a permanent failure that names who has the mail
    already, so that the sender is told the truth.
    """
    failures = {address: reply for address, reply in replies.items() if not succeeded(reply)}
    if not failures:
        return next(iter(replies.values()))
    address, worst = min(failures.items(), key=lambda item: item[1].code)
    if len(set(replies.values())) == 1:
        return worst
    taken = ", ".join(address for address in replies if address not in failures)
    text = f"{address}: {worst.text}" + (f" (delivered to {taken})" if taken else "")
    temporary = worst.code < 500  # noqa: PLR2004
    return Reply(451, "4.3.0", text) if temporary else Reply(worst.code, worst.status, text)


class Taken:
    """Who has got a mail of which the sender was told 451 for the sake of others: at the retry they get no second copy.

    It is memory of this process, for the last `REMEMBERED` recipients: losing it costs a duplicate, never a mail.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, Reply] = OrderedDict()

    def recall(self, sender: str, recipient: str, content: Buffer) -> Reply | None:
        """Give the reply with which `recipient` was taken, if it was."""
        return self._seen.get(_key(sender, recipient, content)) if self._seen else None

    def learn(self, sender: str, replies: Mapping[str, Reply], content: Buffer) -> None:
        """Remember those taken when others are to be tried again; forget the mail when nobody is."""
        again = any(not succeeded(reply) for reply in replies.values())
        if not again and not self._seen:
            return
        for recipient, reply in replies.items():
            key = _key(sender, recipient, content)
            if again and succeeded(reply):
                self._seen[key] = reply
            else:
                self._seen.pop(key, None)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def _key(sender: str, recipient: str, content: Buffer) -> bytes:
    digest = hashlib.sha256(f"{sender}\0{recipient}\0".encode("utf-8", "surrogateescape"))
    digest.update(content)
    return digest.digest()
