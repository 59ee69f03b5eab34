r"""One milter session, from negotiation to QUIT, without I/O: bytes of the MTA in, events and bytes for the MTA out.

What it does: holds the state, the envelope and the limits, and rebuilds the mail byte for byte as the MTA will deliver it.
Not its job: sockets, clocks and spools (`milter_server`); what to answer at end of message (`milter_answer`).
Raises: `ProtocolError`, and nothing else, from `feed`. The session is dead then.

How the mail is rebuilt. A header field comes as name and value; with HDR_LEADSPC the value holds what stood after the colon, without
it the MTA has eaten one space (never a tab), and we put it back. Folded lines come with LF and are delivered with CRLF; a CR before
that LF is content and stays. The body comes as it goes out.

What a filter cannot see, and so differs from what the next hop gets (tried with Postfix 3.7.11 and Sendmail 8.17.1):
- Both hide the Received field that they add; Sendmail also hides a Date, From, Message-Id or Resent-* that it adds. Postfix shows those.
- Both drop white space between name and colon ("Subject : x"), from the mail and from what we are told.
- Both break long lines on delivery by CRLF and a space: Postfix at 998 bytes (`smtp_line_length_limit`, 0 to let them be), Sendmail after
  an exclamation mark at 2,040 (`L=` of the mailer).
- Postfix delivers a mail of header fields alone without an empty line; we end every header with one.
- Sendmail rewrites addresses in the header on delivery, and header fields of MIME parts where it converts their content.
- Postfix cuts a header field beyond `header_size_limit` and delivers it as cut; Sendmail refuses it, as it does bare CR and LF.
What they do before we see it (NUL in a header field, Bcc, an mbox "From " line) is the same for us and for the next hop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from gatepost.mail.budget import KIB, MIB
from gatepost.mail.model import Envelope, Reply
from gatepost.mail.receive.milter_wire import (
    AFTER,
    HEAD,
    NO_REPLY,
    Action,
    Command,
    Options,
    ProtocolError,
    Response,
    Stage,
    State,
    Step,
    agreement,
    connection,
    macro_lists,
    macros,
    options,
    reply,
    reply_code,
    strings,
    text,
)

WANTED_ACTIONS = int(Action.ADDHDRS | Action.CHGHDRS | Action.CHGBODY | Action.DELRCPT | Action.SETSYMLIST)
SILENT = int(sum(NO_REPLY.values()))
WANTED_STEPS = int(SILENT | Step.NOUNKNOWN | Step.NODATA | Step.SKIP | Step.HDR_LEADSPC)

# Sendmail looks at the list of EOM only where one of EOH is given, hence the empty one. Postfix takes an empty list for its own.
WANTED_MACROS = macro_lists(
    {
        Stage.CONNECT: "{client_addr}",
        Stage.HELO: "",
        Stage.MAIL: "i {auth_authen}",
        Stage.RCPT: "i",
        Stage.DATA: "",
        Stage.EOB: "i",
        Stage.EOH: "",
    }
)
_KEPT_MACROS = frozenset({b"i", b"auth_authen", b"client_addr"})
_CONNECTION_STAGES = frozenset({Command.CONNECT, Command.HELO})

OVERSIZE = Reply(552, "5.3.4", "The message is larger than this gateway takes")
CROWDED = Reply(452, "4.5.3", "Too many recipients for one message")
BUSY = Reply(451, "4.3.2", "The mail gateway is busy, try again later")


@dataclass(frozen=True, slots=True)
class MilterLimits:
    """How much a session may hold.

    `packet`, `macros` and `arguments` are bytes of one packet (header field or body chunk; macros; any other): beyond them the session ends.
    `envelope`, `header` and `message` are bytes, `recipients` and `fields` counts: beyond them the mail is refused with `crowded` or `oversize`.
    """

    packet: int = 2 * MIB
    macros: int = 256 * KIB
    arguments: int = 64 * KIB
    envelope: int = 4 * MIB
    recipients: int = 10_000
    fields: int = 100_000
    header: int = 8 * MIB
    message: int = 128 * MIB
    oversize: Reply = OVERSIZE
    crowded: Reply = CROWDED


@dataclass(frozen=True, slots=True)
class Content:
    """The next bytes of the mail. Valid until the next `feed`."""

    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The mail is whole and the MTA waits. `addresses` gives each recipient as the MTA wrote it; `refusal` is set when a limit was passed."""

    envelope: Envelope
    addresses: dict[str, bytes]
    refusal: Reply | None


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The MTA dropped the mail under way; whatever is known of it can go."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The MTA is done with this connection."""


Event = Content | EndOfMessage | Abandoned | Closed


@dataclass(slots=True)
class _Mail:
    """The mail under way, as far as it has come."""

    macros: dict[bytes, bytes] = field(default_factory=dict)
    last_macros: bytes | None = None
    sender: str = ""
    sender_parameters: tuple[str, ...] = ()
    recipients: list[str] = field(default_factory=list)
    recipient_parameters: list[tuple[str, ...]] = field(default_factory=list)
    addresses: dict[str, bytes] = field(default_factory=dict)
    fields: list[bytes] = field(default_factory=list)
    envelope_size: int = 0
    header_size: int = 0
    size: int = 0
    crowded: bool = False
    refusal: Reply | None = None


class MilterSession:
    """A session. With `busy` it takes no mail, but says so properly, whatever the MTA does when a filter fails."""

    __slots__ = (
        "_answered",
        "_client",
        "_client_name",
        "_connection_macros",
        "_helo",
        "_largest",
        "_limits",
        "_mail",
        "_mail_macros",
        "_need",
        "_now",
        "_out",
        "_pending",
        "_separator",
        "_unremarkable",
        "busy",
        "options",
        "state",
    )

    def __init__(self, limits: MilterLimits, *, busy: bool = False) -> None:
        self.busy = busy
        self.state = State.OPENED
        self.options = Options(0, 0, 0)
        self._limits = limits
        self._pending = bytearray()
        self._need = 0
        self._now = 0.0
        self._out: list[bytes] = []
        self._answered: frozenset[int] = frozenset()
        self._separator = b": "
        self._client = self._client_name = self._helo = ""
        self._connection_macros: dict[bytes, bytes] = {}
        self._mail_macros: dict[bytes, bytes] = {}
        self._mail = _Mail()
        self._unremarkable = min(limits.packet, limits.macros, limits.arguments)
        self._largest: dict[int, int] = {
            Command.HEADER: limits.packet,
            Command.BODY: limits.packet,
            Command.EOB: limits.packet,
            Command.MACRO: limits.macros,
        }

    @property
    def refusal(self) -> Reply | None:
        """Why the mail under way is refused already, so that its bytes need not be kept."""
        return self._mail.refusal

    def feed(self, data: bytes, now: float = 0.0) -> list[Event]:
        """Take the next bytes and return what they mean; `now` is the time in seconds since the epoch. Raises ProtocolError."""
        whole: bytes | bytearray = data
        if self._pending:
            self._pending += data
            if len(self._pending) < self._need:
                return []
            whole, self._pending = self._pending, bytearray()
        self._now = now
        view = memoryview(whole)
        events: list[Event] = []
        position, end = 0, len(view)
        self._need = HEAD.size
        while end - position >= HEAD.size:
            length, command = HEAD.unpack_from(view, position)
            stop = position + 4 + length
            if not 0 < length <= self._unremarkable:
                self._check_length(length, command)
            if stop > end:
                self._need = stop - position
                break
            self._take(command, view[position + 5 : stop], events)
            position = stop
        if position < end:
            self._pending = bytearray(view[position:])
        return events

    def take(self) -> bytes:
        """What is to be sent to the MTA now."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def answered(self) -> None:
        """End of message was answered: the session is ready for the next mail."""
        if self.state is State.JUDGED:
            self.state = State.READY
            self._mail = _Mail()

    def _check_length(self, length: int, command: int) -> None:
        if not length:
            raise ProtocolError("a packet has no command")
        if length > self._largest.get(command, self._limits.arguments):
            raise ProtocolError(f"a packet of {length} bytes is over the limit")

    def _take(self, command: int, payload: memoryview, events: list[Event]) -> None:
        following = AFTER[self.state].get(command)
        if following is None:
            raise ProtocolError(f"command {chr(command)!a} does not belong in state {self.state.name}")
        self.state = following
        handler = self._HANDLERS.get(command)
        if handler is not None:
            handler(self, payload, events)
        if command in self._answered:
            self._out.append(self._acknowledgement(command))

    def _acknowledgement(self, command: int) -> bytes:
        if self.busy:
            return reply(command, Response.TEMPFAIL)
        if command == Command.RCPT and self._mail.crowded:
            return reply_code(self._limits.crowded)
        if command == Command.BODY and self._mail.refusal and self.options.steps & Step.SKIP:
            return reply(command, Response.SKIP)
        return reply(command, Response.CONTINUE)

    def _negotiate(self, payload: memoryview, _events: list[Event]) -> None:
        steps = WANTED_STEPS & ~SILENT if self.busy else WANTED_STEPS
        self.options = options(bytes(payload)).agree(WANTED_ACTIONS, steps)
        if self.options.steps & SILENT != SILENT:
            self._answered = frozenset(command for command, flag in NO_REPLY.items() if not self.options.steps & flag)
        self._separator = b":" if self.options.steps & Step.HDR_LEADSPC else b": "
        self._out.append(agreement(self.options, WANTED_MACROS))

    def _macros(self, payload: memoryview, _events: list[Event]) -> None:
        data = bytes(payload)
        # Postfix repeats them before every header field.
        if data == self._mail.last_macros:
            return
        stage, found = macros(data)
        kept = {name: value for name, value in found.items() if name in _KEPT_MACROS}
        if stage == Command.MAIL:
            self._mail_macros = kept
        elif stage in _CONNECTION_STAGES:
            self._connection_macros |= kept
        else:
            self._mail.last_macros = data
            self._mail.macros |= kept

    def _connect(self, payload: memoryview, _events: list[Event]) -> None:
        self._mail = _Mail()
        name, self._client = connection(bytes(payload))
        # An MTA that found no name says "unknown" (Postfix) or the address in brackets (Sendmail).
        self._client_name = "" if name == "unknown" or name.startswith("[") else name

    def _hello(self, payload: memoryview, _events: list[Event]) -> None:
        self._helo = text(self._arguments(payload)[0])

    def _sender(self, payload: memoryview, _events: list[Event]) -> None:
        arguments = self._arguments(payload)
        self._mail = _Mail(
            macros=self._mail_macros,
            sender=text(_bare(arguments[0])),
            sender_parameters=tuple(map(text, arguments[1:])),
        )
        self._mail_macros = {}

    def _recipient(self, payload: memoryview, _events: list[Event]) -> None:
        arguments = self._arguments(payload)
        self._mail.envelope_size += len(payload)
        if len(self._mail.recipients) >= self._limits.recipients or self._mail.envelope_size > self._limits.envelope:
            self._refuse_recipient()
            return
        address = text(_bare(arguments[0]))
        self._mail.recipients.append(address)
        self._mail.recipient_parameters.append(tuple(map(text, arguments[1:])))
        self._mail.addresses[address] = arguments[0]

    def _refuse_recipient(self) -> None:
        # Where the MTA waits for a reply, only this recipient is put off; where it does not, the whole mail must be.
        self._mail.crowded = True
        if Command.RCPT not in self._answered:
            self._mail.refusal = self._limits.crowded

    def _header(self, payload: memoryview, _events: list[Event]) -> None:
        parts = bytes(payload).split(b"\0")
        if len(parts) != 3 or parts[2] or not parts[0]:  # noqa: PLR2004 - name, value, and nothing after the last NUL
            raise ProtocolError("a header field is not a name and a value")
        mail = self._mail
        mail.header_size += len(payload)
        if mail.header_size > self._limits.header or len(mail.fields) >= self._limits.fields:
            mail.refusal = self._limits.oversize
        if mail.refusal is None:
            mail.fields.append(parts[0] + self._separator + parts[1])

    def _end_of_header(self, _payload: memoryview, events: list[Event]) -> None:
        fields, self._mail.fields = self._mail.fields, []
        if self.refusal is None:
            fields.append(b"\n" if fields else b"")
            self._content(b"\n".join(fields).replace(b"\n", b"\r\n") or b"\r\n", events)

    def _body(self, payload: memoryview, events: list[Event]) -> None:
        if payload:
            self._content(payload, events)

    def _content(self, data: bytes | memoryview, events: list[Event]) -> None:
        self._mail.size += len(data)
        if self._mail.size > self._limits.message:
            self._mail.refusal = self._limits.oversize
        if self.refusal is None:
            events.append(Content(data))

    def _end_of_body(self, payload: memoryview, events: list[Event]) -> None:
        self._body(payload, events)
        events.append(EndOfMessage(self._envelope(), self._mail.addresses, BUSY if self.busy else self.refusal))

    def _envelope(self) -> Envelope:
        return Envelope(
            sender=self._mail.sender,
            recipients=tuple(self._mail.recipients),
            client=self._client or text(self._connection_macros.get(b"client_addr", b"")),
            client_name=self._client_name,
            helo=self._helo,
            user=text(self._mail.macros.get(b"auth_authen", b"")),
            queue_id=text(self._mail.macros.get(b"i", b"")),
            received=self._now,
            sender_parameters=self._mail.sender_parameters,
            recipient_parameters=tuple(self._mail.recipient_parameters),
        )

    def _abort(self, _payload: memoryview, events: list[Event]) -> None:
        self._mail = _Mail()
        events.append(Abandoned())

    def _quit(self, _payload: memoryview, events: list[Event]) -> None:
        self._mail = _Mail()
        events.append(Closed())

    def _quit_new_connection(self, _payload: memoryview, events: list[Event]) -> None:
        self._mail = _Mail()
        self._forget_connection()
        events.append(Abandoned())

    def _forget_connection(self) -> None:
        self._client = self._client_name = self._helo = ""
        self._connection_macros = {}
        self._mail_macros = {}

    _HANDLERS: ClassVar[dict[int, Callable[[MilterSession, memoryview, list[Event]], None]]] = {
        Command.OPTNEG: _negotiate,
        Command.MACRO: _macros,
        Command.CONNECT: _connect,
        Command.HELO: _hello,
        Command.MAIL: _sender,
        Command.RCPT: _recipient,
        Command.HEADER: _header,
        Command.EOH: _end_of_header,
        Command.BODY: _body,
        Command.EOB: _end_of_body,
        Command.ABORT: _abort,
        Command.QUIT: _quit,
        Command.QUIT_NC: _quit_new_connection,
    }

    @staticmethod
    def _arguments(payload: memoryview) -> list[bytes]:
        found = strings(bytes(payload))
        if not found:
            raise ProtocolError("a command has no argument")
        return found


def _bare(address: bytes) -> bytes:
    return address[1:-1] if address.startswith(b"<") and address.endswith(b">") else address
