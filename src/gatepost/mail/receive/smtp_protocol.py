"""The server's side of SMTP, ESMTP and LMTP, without I/O: bytes in, events and bytes out.

What it does: reads commands (RFC 5321, 2033, 2920, 3030, 3207, 3461, 6152, 6531) by the table in `smtp_table`, answers all that needs no judgement,
and gives an `Event` for the rest. After a `Recipient` or an `EndOfMessage` nothing is read on until `answer` is called.
Not its job: sockets, time limits, TLS itself, knowing recipients, judging mail.
Raises: nothing for whatever bytes a client sends; `RuntimeError` when the caller answers what was not asked.

No second mail can hide in one (SMTP smuggling): only CRLF "." CRLF ends a message, and a mail or command with a bare CR, a bare LF or a NUL
is refused and the connection closed, so that nobody behind us can read it differently.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from gatepost.mail.model import Envelope, Reply
from gatepost.mail.receive import smtp_arguments as arguments
from gatepost.mail.receive.smtp_arguments import CLIENT_NAMES, FORWARD_NAMES, CommandError
from gatepost.mail.receive.smtp_table import LAST_IN_GROUP, State, refusal
from gatepost.mail.smtp.lines import LineCheck, Unstuffer, fault
from gatepost.mail.smtp.reply import render, render_lines

COMMAND = 4096  # RFC 5321 4.5.3.1.4 asks for 512 and extensions add to it; Postfix takes 2048, XFORWARD lines are long
_OK = Reply(250, "2.0.0", "ok")


@dataclass(frozen=True, slots=True)
class Features:
    """What a listener offers. `size` in octets of one mail; `recipients` of one mail; `errors` and `idle` (commands that bring no mail forward) a connection."""

    hostname: str
    size: int = 50 * 1024 * 1024
    recipients: int = 1000
    errors: int = 20
    idle: int = 200
    lmtp: bool = False
    starttls: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """RCPT: answer with one reply; 2xx takes the recipient. `parameters` are as written ("NOTIFY=NEVER")."""

    address: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """The next bytes of the mail, without transparency dots."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The mail is whole: answer with one reply (SMTP), or one for each recipient in order (LMTP, RFC 2033 4.2)."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The transaction is over without a mail: drop what was read and whatever was begun for it."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Send what is to send, then call `tls_begins`, take up TLS, and call `tls_started`."""


Event = Recipient | Content | EndOfMessage | Abandoned | StartTls


class SmtpProtocol:
    """One dialogue with one client. `client` is its address; `trusted` lets it use XFORWARD and XCLIENT."""

    def __init__(self, features: Features, client: str = "", *, trusted: bool = False) -> None:
        self.state = State.NEW
        self.tls = False
        self.forwarded: dict[str, str] = {}
        self._features = features
        self._trusted = trusted
        self._peer = {"ADDR": client}
        self._buffer = bytearray()
        self._output = bytearray()
        self._events: deque[Event] = deque()
        self._asked: Recipient | EndOfMessage | None = None
        self._errors = 0
        self._idle = 0
        self._hello = ""
        self._esmtp = False
        self._forget()

    def _forget(self) -> None:
        self._sender = ""
        self._sender_parameters: dict[str, str] = {}
        self._recipients: list[tuple[str, tuple[str, ...]]] = []
        self._unstuffer = Unstuffer()
        self._check = LineCheck()
        self._read = 0
        self._left = 0
        self._last = False
        self._refused_chunk: Reply | None = None
        self._resumed = State.READY

    # What the caller does.

    def greet(self) -> None:
        """Write the greeting. A client that has already talked is refused: it does not listen, so it is no mail server (RFC 5321 3.1)."""
        if self._buffer:
            self.close(Reply(554, "5.5.1", "you talked before the greeting"))
            return
        self.state = State.GREETED
        self._output += render(Reply(220, "", f"{self._features.hostname} {'LMTP' if self._features.lmtp else 'ESMTP'}"))

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self.state is not State.CLOSED:
            self._buffer += data

    def next_event(self) -> Event | None:
        """Give the next thing to do, or None: more bytes, or an answer, are needed first."""
        while not self._events and self._asked is None and self._step():
            pass
        return self._events.popleft() if self._events else None

    def answer(self, *replies: Reply) -> None:
        """Answer the last `Recipient` or `EndOfMessage`."""
        asked, self._asked = self._asked, None
        if asked is None:
            raise RuntimeError("nothing was asked")
        if isinstance(asked, Recipient):
            self._answer_recipient(asked, replies[0])
        else:
            self._output += b"".join(map(render, replies if self._features.lmtp else replies[:1]))
            self._end_transaction()

    def tls_begins(self) -> None:
        """Drop what was received outside TLS; call it when from now on every byte comes from inside (RFC 3207 6)."""
        self._buffer.clear()

    def tls_started(self) -> None:
        """Begin anew inside TLS: whatever was said before may be an attacker's (RFC 3207 4.2)."""
        self._end_transaction()
        self.tls = True
        self.state = State.GREETED
        self._hello = ""

    def take_output(self) -> bytes:
        """Give the bytes to send, once."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def close(self, reply: Reply | None = None) -> None:
        """End the dialogue, with a last reply; nothing is read afterwards."""
        if reply is not None:
            self._output += render(reply)
        if self.in_transaction:
            self._events.append(Abandoned())
        self.state = State.CLOSED
        self._asked = None
        self._buffer.clear()

    @property
    def waiting(self) -> int:
        """Bytes received that are not read yet."""
        return len(self._buffer)

    @property
    def asked(self) -> bool:
        """Whether an answer is owed."""
        return self._asked is not None

    @property
    def reading_mail(self) -> bool:
        """Whether the client is in the middle of the mail itself."""
        return self.state in {State.DATA, State.CHUNK}

    @property
    def in_transaction(self) -> bool:
        """Whether a mail is under way."""
        return self.state not in {State.NEW, State.GREETED, State.READY, State.CLOSED}

    @property
    def closed(self) -> bool:
        """Whether the dialogue is over."""
        return self.state is State.CLOSED

    @property
    def protocol(self) -> str:
        """The protocol's name for a Received field (RFC 3848)."""
        if self._features.lmtp:
            return "LMTPS" if self.tls else "LMTP"
        if "SMTPUTF8" in self._sender_parameters:
            return "UTF8SMTPS" if self.tls else "UTF8SMTP"
        return ("ESMTPS" if self.tls else "ESMTP") if self._esmtp else "SMTP"

    def envelope(self, received: float) -> Envelope:
        """What is known of the mail under way; `received` is the time to note in it. What a trusted peer forwarded counts before what we see."""
        known = self._peer | self.forwarded
        return Envelope(
            sender=self._sender,
            recipients=tuple(recipient for recipient, _ in self._recipients),
            client=known["ADDR"],
            client_name=known.get("NAME", ""),
            helo=known.get("HELO", self._hello),
            user=known.get("LOGIN", ""),
            queue_id=known.get("IDENT", ""),
            received=received,
            sender_parameters=tuple(f"{key}={value}" if value else key for key, value in self._sender_parameters.items()),
            recipient_parameters=tuple(parameters for _, parameters in self._recipients),
        )

    # Reading.

    def _step(self) -> bool:
        if self.state is State.DATA:
            return self._read_data()
        if self.state is State.CHUNK:
            return self._read_chunk()
        if self.state in {State.CLOSED, State.NEW}:
            return False
        return self._read_command()

    def _read_command(self) -> bool:
        end = self._buffer.find(b"\n")
        if end > COMMAND or (end < 0 and len(self._buffer) > COMMAND):
            self.close(Reply(500, "5.5.2", "the line is too long, closing"))
            return False
        if end < 0:
            return False
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        wrong = fault(line)
        if wrong:
            self.close(Reply(521, "5.5.2", f"{wrong} in a command, closing"))
            return False
        self._command(line[:-2])
        return True

    def _command(self, line: bytes) -> None:
        try:
            verb, _, argument = line.decode().partition(" ")
        except UnicodeDecodeError:
            self._refuse(Reply(500, "5.5.2", "the command is not UTF-8"))
            return
        verb = verb.upper()
        refused = refusal(verb, self.state)
        if refused is not None and verb != "BDAT":
            self._refuse(refused)
        elif verb in LAST_IN_GROUP and self._buffer:
            self.close(Reply(521, "5.5.0", f"you did not wait for the answer to {verb}, closing"))
        else:
            try:
                self._COMMANDS[verb](self, argument)
            except CommandError as error:
                self._refuse(error.reply)

    def _say(self, reply: Reply) -> None:
        self._output += render(reply)

    def _refuse(self, reply: Reply) -> None:
        self._say(reply)
        self._errors += 1
        if self._errors >= self._features.errors:
            self.close(Reply(421, "4.7.0", "too many errors, closing"))

    def _count_idle(self) -> None:
        self._idle += 1
        if self._idle >= self._features.idle:
            self.close(Reply(421, "4.7.0", "too many commands that bring no mail, closing"))

    def _end_transaction(self) -> None:
        self._forget()
        self.forwarded = {}
        self.state = State.READY

    def _abandon(self) -> None:
        if self.state is not State.GREETED:
            if self.state is not State.READY:
                self._events.append(Abandoned())
            self._end_transaction()

    # Commands without a mail.

    def _ehlo(self, argument: str) -> None:
        self._hello_in(argument, lmtp=False)
        self._output += render_lines(250, self._offers())

    def _lhlo(self, argument: str) -> None:
        self._hello_in(argument, lmtp=True)
        self._output += render_lines(250, self._offers())

    def _helo(self, argument: str) -> None:
        self._hello_in(argument, lmtp=False)
        self._esmtp = False
        self._say(Reply(250, "", self._features.hostname))

    def _hello_in(self, argument: str, *, lmtp: bool) -> None:
        if lmtp is not self._features.lmtp:
            raise CommandError(500, "5.5.1", "this is LMTP: say LHLO" if self._features.lmtp else "this is SMTP: say EHLO")
        name = arguments.host(argument)
        self._abandon()
        self._hello = name
        self._esmtp = True
        self.state = State.READY

    def _offers(self) -> tuple[str, ...]:
        features = self._features
        fixed = (features.hostname, "PIPELINING", f"SIZE {features.size}", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "ENHANCEDSTATUSCODES")
        tls = ("STARTTLS",) if features.starttls and not self.tls else ()
        trusted = ("XFORWARD " + " ".join(sorted(FORWARD_NAMES)), "XCLIENT " + " ".join(sorted(CLIENT_NAMES))) if self._trusted else ()
        return fixed + tls + trusted

    def _noop(self, _argument: str) -> None:
        self._say(_OK)
        self._count_idle()

    def _help(self, _argument: str) -> None:
        self._say(Reply(214, "2.0.0", "see RFC 5321"))
        self._count_idle()

    def _vrfy(self, _argument: str) -> None:
        self._say(Reply(252, "2.5.0", "send some mail, I will try"))
        self._count_idle()

    def _expn(self, _argument: str) -> None:
        raise CommandError(502, "5.5.1", "EXPN is not offered")

    def _rset(self, argument: str) -> None:
        arguments.nothing(argument)
        self._abandon()
        self._say(_OK)
        self._count_idle()

    def _quit(self, _argument: str) -> None:
        self.close(Reply(221, "2.0.0", "bye"))

    def _starttls(self, argument: str) -> None:
        arguments.nothing(argument)
        if not self._features.starttls or self.tls:
            raise CommandError(502, "5.5.1", "no TLS is offered, or it is already there")
        self._say(Reply(220, "2.0.0", "go on with TLS"))
        self.state = State.NEW
        self._events.append(StartTls())

    # Commands of trusted peers (Postfix XFORWARD_README, XCLIENT_README).

    def _xforward(self, argument: str) -> None:
        self._must_be_trusted()
        self.forwarded |= arguments.attributes(argument, FORWARD_NAMES)
        self._say(_OK)

    def _xclient(self, argument: str) -> None:
        self._must_be_trusted()
        self._peer |= arguments.attributes(argument, CLIENT_NAMES)
        self._end_transaction()
        self._hello = ""
        self.state = State.NEW
        self.greet()

    def _must_be_trusted(self) -> None:
        if not self._trusted:
            raise CommandError(550, "5.7.0", "only peers that the site file trusts may say this")

    # A mail.

    def _mail(self, argument: str) -> None:
        self._sender, self._sender_parameters = arguments.sender(argument, self._features.size)
        if not self._trusted:  # RFC 4954 5: whom a stranger names as author counts for nothing
            self._sender_parameters.pop("AUTH", None)
        self.state = State.SENDER
        self._say(Reply(250, "2.1.0", "sender ok"))

    def _rcpt(self, argument: str) -> None:
        recipient, parameters = arguments.recipient(argument, utf8="SMTPUTF8" in self._sender_parameters)
        if len(self._recipients) >= self._features.recipients:
            self._say(Reply(452, "4.5.3", "too many recipients, send the mail again for the others"))
            return
        self._asked = Recipient(recipient, tuple(f"{key}={value}" for key, value in parameters.items()))
        self._events.append(self._asked)

    def _answer_recipient(self, asked: Recipient, reply: Reply) -> None:
        self._say(reply)
        if reply.code // 100 == 2:  # noqa: PLR2004 - the class of a reply is its first digit, RFC 5321 4.2.1
            self._recipients.append((asked.address, asked.parameters))
            self.state = State.RECIPIENTS

    def _data(self, argument: str) -> None:
        arguments.nothing(argument)
        self._say(Reply(354, "", "send the mail, end with a dot on a line of its own"))
        self.state = State.DATA

    def _read_data(self) -> bool:
        if not self._buffer:
            return False
        data = bytes(self._buffer)
        self._buffer.clear()
        content = self._unstuffer.feed(data)
        self._add(content)
        if self._unstuffer.rest is None:
            return bool(content)
        self._buffer += self._unstuffer.rest
        self._end_of_message(self._unstuffer.fault)
        return True

    def _bdat(self, argument: str) -> None:
        found = arguments.chunk(argument)
        if found is None:
            self.close(Reply(521, "5.5.4", "write BDAT size [LAST]; where the next command begins is now unknown, closing"))
            return
        self._left, self._last = found
        # A chunk that is refused has been sent all the same: it must be read past, never taken for commands (RFC 3030 2).
        self._refused_chunk = refusal("BDAT", self.state)
        self._resumed = self.state
        self.state = State.CHUNK

    def _read_chunk(self) -> bool:
        data = bytes(self._buffer[: self._left])
        if not data and self._left:
            return False
        del self._buffer[: len(data)]
        self._left -= len(data)
        if self._refused_chunk is None:
            self._check.feed(data)
            self._add(b"" if self._check.fault else data)
        if not self._left:
            self._end_of_chunk()
        return True

    def _end_of_chunk(self) -> None:
        if self._refused_chunk is not None:
            self.state = self._resumed
            self._refuse(self._refused_chunk)
        elif not self._last:
            self.state = State.CHUNKED
            self._say(_OK)
        else:
            self._check.end()
            self._end_of_message(self._check.fault)

    def _add(self, content: bytes) -> None:
        self._read += len(content)
        if self._read > 2 * self._features.size:
            self.close(self._too_large())
        elif content and self._read <= self._features.size:
            self._events.append(Content(content))

    def _too_large(self) -> Reply:
        return Reply(552, "5.3.4", f"the mail is larger than {self._features.size} octets")

    def _end_of_message(self, wrong: str) -> None:
        if wrong:
            self.close(Reply(521, "5.5.2", f"{wrong} in the mail, closing"))
        elif self._read > self._features.size:
            replies = max(1, len(self._recipients)) if self._features.lmtp else 1
            self._output += render(self._too_large()) * replies
            self._events.append(Abandoned())
            self._end_transaction()
        else:
            self._asked = EndOfMessage()
            self._events.append(self._asked)

    _COMMANDS: ClassVar[Mapping[str, Callable[[SmtpProtocol, str], None]]] = {
        "EHLO": _ehlo,
        "HELO": _helo,
        "LHLO": _lhlo,
        "NOOP": _noop,
        "QUIT": _quit,
        "RSET": _rset,
        "HELP": _help,
        "VRFY": _vrfy,
        "EXPN": _expn,
        "STARTTLS": _starttls,
        "XCLIENT": _xclient,
        "XFORWARD": _xforward,
        "MAIL": _mail,
        "RCPT": _rcpt,
        "DATA": _data,
        "BDAT": _bdat,
    }
