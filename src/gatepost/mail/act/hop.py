"""The client's side of SMTP and LMTP: one next hop, its connections, its transactions.

What it does: connects, takes up TLS by policy, sends a mail in one or a few round trips (PIPELINING, CHUNKING), keeps connections for the next mail.
The next hop is asked about a recipient when our client names it, so that its refusal becomes ours; the mail itself goes only after the verdict.
When the connection has died in between, the transaction is begun again on a new one; after the first octet of the mail it never is.
A next hop that cannot be used is named in the log, once a minute.
Not its job: choosing the next hop, queueing, retrying: whoever gave us the mail still holds it.
Raises: nothing but what a programming fault raises; every trouble becomes a 451 reply, or what the next hop said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from gatepost.mail.act.connection import Connection, Hop, HopError
from gatepost.mail.act.deliver import Taken, succeeded
from gatepost.mail.act.rewrite import Outgoing
from gatepost.mail.model import Envelope, Reply
from gatepost.mail.smtp import address
from gatepost.mail.smtp.address import AddressError
from gatepost.mail.smtp.lines import LineEndError, exact, stuffed

_log = logging.getLogger(__name__)

TELL = 60.0  # seconds between two lines about the same next hop
KEEP = 30.0  # seconds; shorter than any server's patience (RFC 5321 4.5.3.2.7: five minutes)
_DSN = ("RET=", "ENVID=", "NOTIFY=", "ORCPT=")
_LATER = Reply(451, "4.3.0", "not sent: another recipient has been refused meanwhile, try again")

_Recipient = tuple[str, tuple[str, ...]]


class SmtpHop:
    """A next hop that speaks SMTP or LMTP; satisfies `deliver.NextHop`."""

    def __init__(self, hop: Hop) -> None:
        self.hop = hop
        self.taken = Taken()
        self._idle: list[Connection] = []
        self._told = float("-inf")

    def begin(self, envelope: Envelope, forwarded: Mapping[str, str] | None = None) -> SmtpTransaction:
        """Begin a transaction; nothing is sent before its first recipient."""
        return SmtpTransaction(self, envelope, forwarded or {})

    async def connect(self, *, fresh: bool) -> Connection:
        """Give a connection that stands ready: a kept one, unless `fresh`. Raises HopError."""
        while self._idle and not fresh:
            connection = self._idle.pop()
            if not connection.lost:
                return connection
        try:
            return await Connection.open(self.hop)
        except HopError as error:
            self._tell(error)
            raise

    def _tell(self, error: HopError) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told >= TELL:
            self._told = now
            _log.warning("mail for %s:%d waits: %s", self.hop.host, self.hop.port, error.reply.text)

    def keep(self, connection: Connection) -> None:
        """Take a connection back for the next mail."""
        if connection.lost or len(self._idle) >= self.hop.keep:
            connection.quit()
            return
        connection.kept += 1
        self._idle.append(connection)
        asyncio.get_running_loop().call_later(KEEP, self._expire, connection, connection.kept)

    def _expire(self, connection: Connection, kept: int) -> None:
        if connection in self._idle and connection.kept == kept:
            self._idle.remove(connection)
            connection.quit()

    def close(self) -> None:
        """Close the connections that wait for mail."""
        while self._idle:
            self._idle.pop().quit()


class SmtpTransaction:
    """One mail; satisfies `deliver.Transaction`."""

    def __init__(self, hop: SmtpHop, envelope: Envelope, forwarded: Mapping[str, str]) -> None:
        self._hop = hop
        self._envelope = envelope
        self._forwarded = forwarded
        self._connection: Connection | None = None
        self._accepted: list[_Recipient] = []
        self._current: list[_Recipient] = []
        self._opened = False

    async def recipient(self, address: str, parameters: tuple[str, ...] = ()) -> Reply:
        """Ask the next hop to take one more recipient."""
        new = (address, parameters)
        try:
            if self._connection is not None and self._opened and not self._connection.lost:
                (reply,) = await self._recipients(self._connection, [], [new])
            else:
                reply = (await self._begin([*self._accepted, new]))[-1]
        except (HopError, AddressError) as error:
            self._drop()
            return _reply_to(error)
        if succeeded(reply):
            self._accepted.append(new)
        return reply

    async def deliver(self, outgoing: Outgoing, recipients: tuple[str, ...]) -> dict[str, Reply]:
        """Hand the mail on to these recipients."""
        memory, sender = self._hop.taken, self._envelope.sender
        replies = {address: reply for address in recipients if (reply := memory.recall(sender, address, outgoing.original)) is not None}
        wanted = [recipient for recipient in self._accepted if recipient[0] in recipients and recipient[0] not in replies]
        if wanted:
            replies |= await self._deliver_safely(outgoing, wanted)
        await self.abandon()
        if self._hop.hop.lmtp:
            memory.learn(sender, replies, outgoing.original)
        return replies

    async def _deliver_safely(self, outgoing: Outgoing, wanted: list[_Recipient]) -> dict[str, Reply]:
        try:
            replies = await self._deliver(outgoing, wanted)
        except (HopError, AddressError, LineEndError) as error:
            self._drop()
            replies = [_reply_to(error)] * len(wanted)
        return {address: reply for (address, _), reply in zip(wanted, replies, strict=True)}

    async def abandon(self) -> None:
        """Give the connection back. Where a transaction has been begun on it, the next one begins with RSET."""
        if self._connection is not None:
            self._hop.keep(self._connection)
            self._connection = None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def _deliver(self, outgoing: Outgoing, wanted: list[_Recipient]) -> list[Reply]:
        """Send, on the transaction as it stands if that is for the wanted recipients, else on one begun again."""
        connection = self._connection
        if connection is not None and self._current == wanted:
            try:
                return await self._transmit(connection, outgoing, wanted)
            except HopError:
                if connection.mail_sent:
                    raise
                self._drop()
        refused = await self._begin(wanted)
        if not all(map(succeeded, refused)):
            return [_LATER if succeeded(reply) else reply for reply in refused]
        assert self._connection is not None
        return await self._transmit(self._connection, outgoing, wanted)

    async def _begin(self, recipients: list[_Recipient]) -> list[Reply]:
        """MAIL and RCPT, on a kept connection or, when that turns out dead, on a fresh one."""
        if self._connection is not None and self._connection.lost:
            self._drop()
        for fresh in (False, True):
            connection = self._connection or await self._hop.connect(fresh=fresh)
            self._connection, self._current = connection, []
            try:
                return await self._recipients(connection, self._opening(connection), recipients)
            except HopError:
                if fresh or not connection.kept:
                    raise
                self._drop()
        raise AssertionError

    async def _recipients(self, connection: Connection, opening: list[str], recipients: list[_Recipient]) -> list[Reply]:
        """Send the opening commands and a RCPT for each recipient; a refusal of MAIL is the answer for everybody."""
        commands = [*opening, *(self._rcpt(connection, recipient) for recipient in recipients)]
        if opening:
            connection.begun = True
        replies = await connection.exchange(commands, connection.hop.timeouts.command)
        mine = [_relayed(reply) for reply in replies[len(opening) :]]
        self._current += [recipient for recipient, reply in zip(recipients, mine, strict=True) if succeeded(reply)]
        if opening:
            mail = _relayed(replies[len(opening) - 1])
            self._opened = succeeded(mail)
            return mine if self._opened else [mail] * len(recipients)
        return mine

    def _opening(self, connection: Connection) -> list[str]:
        envelope = self._envelope
        lines = ["RSET"] if connection.begun else []
        lawful = connection.offers.get("XFORWARD", "").upper().split()
        words = [f"{name}={address.to_xtext(value or '[UNAVAILABLE]')}" for name, value in self._forwarded.items() if name in lawful]
        if words:
            lines.append("XFORWARD " + " ".join(words))
        if not connection.offered("SMTPUTF8") and "SMTPUTF8" in envelope.sender_parameters:
            raise HopError(
                Reply(550, "5.6.7", "the next hop does not take internationalised mail"),
            )
        words = [word for word in envelope.sender_parameters if _wanted(connection, word)]
        return [*lines, " ".join((f"MAIL FROM:<{address.check(envelope.sender)}>", *words))]

    @staticmethod
    def _rcpt(connection: Connection, recipient: _Recipient) -> str:
        words = [word for word in recipient[1] if _wanted(connection, word)]
        return " ".join((f"RCPT TO:<{address.check(recipient[0])}>", *words))

    async def _transmit(self, connection: Connection, outgoing: Outgoing, wanted: Sequence[_Recipient]) -> list[Reply]:
        refused = _unfit(connection, outgoing)
        if refused is not None:
            return [refused] * len(wanted)
        if connection.offered("CHUNKING"):
            await connection.send_chunk(outgoing.size, exact(outgoing.chunks()))
        else:
            (go,) = await connection.exchange(["DATA"], connection.hop.timeouts.data)
            if go.code != 354:  # noqa: PLR2004 - RFC 5321 4.1.1.4
                return [_failed(go)] * len(wanted)
            await connection.send(stuffed(outgoing.chunks()))
        replies = await connection.final(len(wanted) if connection.hop.lmtp else 1)
        connection.done()
        return [_relayed(reply) for reply in (replies if connection.hop.lmtp else replies * len(wanted))]


def _wanted(connection: Connection, word: str) -> bool:
    """Whether a parameter may be passed on: only what the next hop offers (RFC 5321 4.1.1.11)."""
    name = word.partition("=")[0]
    if word.startswith(_DSN):
        return connection.offered("DSN")
    return connection.offered("8BITMIME" if name == "BODY" else name)


def _unfit(connection: Connection, outgoing: Outgoing) -> Reply | None:
    """Say why the next hop cannot take this mail at all, or None."""
    limit = connection.offers.get("SIZE", "").strip()
    if limit.isascii() and limit.isdigit() and 0 < int(limit) < outgoing.size:
        return Reply(552, "5.3.4", f"the next hop takes at most {int(limit)} octets")
    if not connection.offered("8BITMIME") and not outgoing.seven_bit():
        return Reply(554, "5.6.3", "the next hop does not take 8-bit mail, send it encoded")
    return None


def _relayed(reply: Reply) -> Reply:
    """The next hop's reply as ours: what is neither success nor failure is a temporary failure, and 421 does not close our own connection."""
    if succeeded(reply):
        return Reply(250, reply.status, reply.text)
    return _failed(reply)


def _failed(reply: Reply) -> Reply:
    if reply.code == 421 or not 400 <= reply.code < 600:  # noqa: PLR2004 - RFC 5321 4.2.1
        return Reply(451, "4.4.2", f"the next hop said {reply.code} {reply.text}")
    return reply


def _reply_to(error: HopError | AddressError | LineEndError) -> Reply:
    if isinstance(error, HopError):
        return error.reply
    if isinstance(error, AddressError):
        return Reply(553, "5.1.3", str(error))
    return Reply(554, "5.6.0", str(error))
