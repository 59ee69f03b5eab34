"""One SMTP or LMTP connection on an event loop: bytes to the protocol, its events to handler and next hop, answers back.

What it does: drives `SmtpProtocol`; keeps the mail in a `Spool`; asks the handler and, where there is one, the next hop.
Not its job: limits over all connections, timers (`smtp_server`).
Raises: nothing. Whatever a handler or a next hop raises becomes a 451 and a line in the log.

Order of things, so that no mail is lost and none goes on unjudged:
RCPT: handler, then the next hop; whoever refuses first is our answer. End of data: handler, then the mail goes to the next hop for the recipients the
handler names, then our answer, which is the next hop's. The others have been kept by the handler (quarantine) before it returned. The next hop
saw MAIL and RCPT early, but no octet of the mail before the verdict; a recipient it refuses only then refuses the mail for all (SMTP),
or for itself (LMTP). Our 250 is sent only after the next hop's, so the one window is SMTP's own: our client lost after the next hop's 250 sends again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from email.utils import format_datetime, localtime
from typing import TYPE_CHECKING, cast

from gatepost.mail.act.deliver import Transaction, merged, succeeded
from gatepost.mail.act.rewrite import Outgoing
from gatepost.mail.model import Answer, Envelope, HeaderEdit, Reply
from gatepost.mail.receive.smtp_protocol import Abandoned, Content, EndOfMessage, Event, Recipient, SmtpProtocol, StartTls
from gatepost.mail.receive.spool import Spool

if TYPE_CHECKING:
    from gatepost.mail.receive.smtp_server import SmtpServer

_log = logging.getLogger(__name__)

WAITING = 64 * 1024  # bytes read ahead of an answer that is owed
HOPS = 100  # RFC 5321 6.3: at least 100 Received fields before a loop is assumed
OWN_FAULT = Reply(451, "4.3.0", "the mail cannot be checked now, try again later")
TAKEN = Reply(250, "2.1.5", "recipient ok")
LOOP = Reply(554, "5.4.6", "the mail goes round in circles")
NO_ROOM = Reply(421, "4.3.1", "no room for the mail now, try again later")
GONE = Reply(451, "4.4.2", "the client left before its answer")


class SmtpSession(asyncio.Protocol):
    """One connection. `deadline` is the loop time at which the server ends it; infinite while the client waits for us."""

    def __init__(self, server: SmtpServer) -> None:
        self.deadline = float("inf")
        self.client = ""
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._spool: Spool | None = None
        self._transaction: Transaction | None = None
        self._paused = False
        self._blocked = False

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit and greet."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.client = peer[0].partition("%")[0] if isinstance(peer, tuple) else ""
        trusted = self._server.trusts(self.client)
        self._protocol = SmtpProtocol(self._server.features(), self.client, trusted=trusted)
        refused = self._server.admit(self, trusted=trusted)
        if refused is not None:
            self._protocol.close(refused)
            self._flush()
        elif self._server.limits.greeting_delay:
            self._loop.call_later(self._server.limits.greeting_delay, self._greet)
        else:
            self._greet()
        self._extend()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget everything; a handler at work ends in its own time, and its mail goes nowhere."""
        self._protocol.close()
        self._server.leave(self)
        if self._task is None:
            self._pump()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the deadline moves with commands done, and with the mail only at `slowest` octets a second."""
        self._protocol.receive(data)
        if self._task is not None:
            self._regulate()
        else:
            self._pump()
            if self._protocol.reading_mail:
                latest = self._loop.time() + self._server.patience()
                self.deadline = min(latest, self.deadline + len(data) / self._server.limits.slowest)

    def pause_writing(self) -> None:
        """Read no more commands from a client that does not read our answers."""
        self._blocked = True
        self._regulate()

    def resume_writing(self) -> None:
        """Go on."""
        self._blocked = False
        self._regulate()

    # The server calls these.

    def stop(self, reply: Reply) -> None:
        """End the dialogue now, with a last reply unless one is owed."""
        if self._task is None and not self._protocol.closed:
            self._protocol.close(reply)
            self._pump()
        else:
            self._transport.abort()

    @property
    def in_mail(self) -> bool:
        """Whether a transaction is under way."""
        return self._task is not None or self._protocol.in_transaction

    # Driving the protocol.

    def _greet(self) -> None:
        self._protocol.greet()
        self._pump()

    def _extend(self) -> None:
        self.deadline = self._loop.time() + self._server.patience()

    def _regulate(self) -> None:
        pause = self._blocked or (self._task is not None and self._protocol.waiting > WAITING)
        if pause is not self._paused and not self._transport.is_closing():
            self._paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _flush(self) -> None:
        output = self._protocol.take_output()
        if output and not self._transport.is_closing():
            self._transport.write(output)
            self._extend()
        if self._protocol.closed:
            self._transport.close()

    def _pump(self) -> None:
        """Handle what needs no waiting; hand the first event that does to a task, which calls back when it is done."""
        while (event := self._protocol.next_event()) is not None:
            if isinstance(event, Content):
                self._store(event.data)
            elif isinstance(event, Abandoned) and self._transaction is None:
                self._drop_spool()
            else:
                # Answers of one pipelined group go out together, which saves a system call for each (RFC 2920 3.2).
                if isinstance(event, StartTls):
                    self._flush()
                self.deadline = float("inf")
                self._task = self._loop.create_task(self._handle(event))
                self._task.add_done_callback(self._handled)
                return
        self._flush()

    def _handled(self, task: asyncio.Task[None]) -> None:
        """Turn a handler's fault into a 451, and go on."""
        self._task = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a mail from %s is answered with a temporary failure", self.client or "a local client", exc_info=error)
        if self._protocol.asked:
            self._answer(OWN_FAULT)
        self._extend()
        self._pump()
        self._regulate()

    def _answer(self, reply: Reply) -> None:
        count = len(self._protocol.envelope(0).recipients)
        self._protocol.answer(*[reply] * max(1, count))

    def _store(self, data: bytes) -> None:
        try:
            if self._spool is None:
                self._spool = Spool()
            self._spool.write(data)
        except OSError as error:
            _log.error("no room for a mail from %s: %s", self.client or "a local client", error)
            self._protocol.close(NO_ROOM)

    async def _handle(self, event: Event) -> None:
        if isinstance(event, Recipient):
            reply = await self._recipient(event)
            if self._protocol.asked:
                self._protocol.answer(reply)
        elif isinstance(event, EndOfMessage):
            await self._end_of_message()
        elif isinstance(event, StartTls):
            await self._start_tls()
        elif isinstance(event, Abandoned):
            await self._forget()

    async def _recipient(self, event: Recipient) -> Reply:
        if self._server.draining:
            return Reply(451, "4.3.2", "we are about to stop, try again later")
        envelope = self._protocol.envelope(time.time())
        refused = await self._server.handler.recipient(envelope, event.address)
        if refused is not None:
            return refused
        if self._server.next_hop is None:
            return TAKEN
        if self._transaction is None:
            self._transaction = self._server.next_hop.begin(envelope, self._protocol.forwarded)
        return await self._transaction.recipient(event.address, event.parameters)

    def _drop_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    async def _forget(self) -> None:
        self._drop_spool()
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            await transaction.abandon()

    async def _start_tls(self) -> None:
        context = self._server.tls
        assert context is not None
        self._protocol.tls_begins()
        try:
            transport = await self._loop.start_tls(
                self._transport, self, context, server_side=True, ssl_handshake_timeout=self._server.limits.handshake
            )
        except (OSError, ssl.SSLError) as error:
            _log.info("TLS with %s did not come about: %s", self.client, error)
            self._transport.abort()
            return
        if transport is not None:
            self._transport = transport
            self._protocol.tls_started()

    # A whole mail.

    async def _end_of_message(self) -> None:
        envelope = self._protocol.envelope(time.time())
        self._spool = self._spool or Spool()
        try:
            replies = await self._judge(envelope, self._spool)
        finally:
            await self._forget()
        if self._protocol.asked:
            self._protocol.answer(*replies)

    async def _judge(self, envelope: Envelope, spool: Spool) -> list[Reply]:
        """Ask the handler, hand the mail on, and give the answer: one (SMTP), or one for each recipient (LMTP)."""
        answer = await self._server.handler.message(envelope, spool)
        forwarded: dict[str, Reply] = {}
        if succeeded(answer.reply) and answer.recipients and self._transaction is not None:
            forwarded = await self._forward(self._transaction, envelope, spool, answer)
        replies = dict.fromkeys(envelope.recipients, answer.reply) | forwarded
        if self._server.outcome is not None:
            await self._server.outcome(envelope, answer, replies)
        return [replies[recipient] for recipient in envelope.recipients] if self._server.lmtp else [merged(forwarded or replies)]

    async def _forward(self, transaction: Transaction, envelope: Envelope, spool: Spool, answer: Answer) -> dict[str, Reply]:
        if self._protocol.closed:
            return dict.fromkeys(answer.recipients, GONE)
        edits = (self._trace(envelope), *answer.headers) if self._server.limits.trace else answer.headers
        outgoing = Outgoing(spool.view(), edits, answer.body)
        if outgoing.hops > HOPS:
            return dict.fromkeys(answer.recipients, LOOP)
        replies = await transaction.deliver(outgoing, answer.recipients)
        # A recipient the next hop was never asked about cannot have the mail: the handler named somebody else.
        return {recipient: replies.get(recipient, OWN_FAULT) for recipient in answer.recipients}

    def _trace(self, envelope: Envelope) -> HeaderEdit:
        """The Received field of this hop (RFC 5321 4.4)."""
        name = f"{envelope.client_name or 'unknown'} [{envelope.client or 'local'}]"
        when = format_datetime(localtime())
        value = f"from {envelope.helo} ({name})\r\n\tby {self._server.hostname} (Gatepost) with {self._protocol.protocol};\r\n\t{when}"
        return HeaderEdit("Received", value)
