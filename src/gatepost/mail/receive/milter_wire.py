"""The milter protocol on the wire: packets, names, and the tables that say what is lawful when.

What it does: names every command, reply and flag of protocol versions 2 to 6; holds the three tables `AFTER` (which command may come in
which state), `NO_REPLY` (which flag silences the reply to a command) and `LAWFUL` (which replies answer which command); packs replies and
unpacks commands.
Not its job: keeping a session (`milter_session`), choosing replies (`milter_answer`), sockets (`milter_server`).
Raises: `ProtocolError`, and nothing else, for bytes that no MTA may send and for replies that no MTA would understand.

There is no RFC; libmilter's `mfdef.h` and the two MTAs are the standard. A packet is a length (32 bits, network order, the code included),
a code of one byte, and a payload; strings in a payload end with NUL.
"""

from __future__ import annotations

import ipaddress
import re
import struct
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag, auto

from gatepost.mail.model import Reply

VERSION = 6
OLDEST_VERSION = 2
HEAD = struct.Struct(">IB")
BODY_CHUNK = 65_535
"""Bytes of body in one packet, at most; Sendmail takes no more."""

_OPTIONS = struct.Struct(">III")
_INDEX = struct.Struct(">I")
_PORT = struct.Struct(">H")
_STATUS = re.compile(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}")
_FIELD_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 3.6.8
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_REPLY_LINE = 400  # doubled percent signs keep it under the 980 bytes that Sendmail takes
_REPLY_LINES = 32


class ProtocolError(Exception):
    """The peer sent what the protocol does not allow, or we were asked to send such a thing. The text is the reason."""


class Command(IntEnum):
    """What the MTA sends (SMFIC_*)."""

    ABORT = ord("A")
    BODY = ord("B")
    CONNECT = ord("C")
    MACRO = ord("D")
    EOB = ord("E")
    HELO = ord("H")
    QUIT_NC = ord("K")
    HEADER = ord("L")
    MAIL = ord("M")
    EOH = ord("N")
    OPTNEG = ord("O")
    QUIT = ord("Q")
    RCPT = ord("R")
    DATA = ord("T")
    UNKNOWN = ord("U")


class Response(IntEnum):
    """What a filter sends (SMFIR_*)."""

    ADDRCPT = ord("+")
    DELRCPT = ord("-")
    ADDRCPT_PAR = ord("2")
    SHUTDOWN = ord("4")
    OPTNEG = ord("O")
    ACCEPT = ord("a")
    REPLBODY = ord("b")
    CONTINUE = ord("c")
    DISCARD = ord("d")
    CHGFROM = ord("e")
    CONN_FAIL = ord("f")
    ADDHEADER = ord("h")
    INSHEADER = ord("i")
    CHGHEADER = ord("m")
    PROGRESS = ord("p")
    QUARANTINE = ord("q")
    REJECT = ord("r")
    SKIP = ord("s")
    TEMPFAIL = ord("t")
    REPLYCODE = ord("y")


class Action(IntFlag):
    """What a filter may change (SMFIF_*)."""

    ADDHDRS = 0x001
    CHGBODY = 0x002
    ADDRCPT = 0x004
    DELRCPT = 0x008
    CHGHDRS = 0x010
    QUARANTINE = 0x020
    CHGFROM = 0x040
    ADDRCPT_PAR = 0x080
    SETSYMLIST = 0x100


class Step(IntFlag):
    """What the MTA need not send, or need not wait for (SMFIP_*)."""

    NOCONNECT = 0x000001
    NOHELO = 0x000002
    NOMAIL = 0x000004
    NORCPT = 0x000008
    NOBODY = 0x000010
    NOHDRS = 0x000020
    NOEOH = 0x000040
    NR_HDR = 0x000080
    NOUNKNOWN = 0x000100
    NODATA = 0x000200
    SKIP = 0x000400
    RCPT_REJ = 0x000800
    NR_CONN = 0x001000
    NR_HELO = 0x002000
    NR_MAIL = 0x004000
    NR_RCPT = 0x008000
    NR_DATA = 0x010000
    NR_UNKN = 0x020000
    NR_EOH = 0x040000
    NR_BODY = 0x080000
    HDR_LEADSPC = 0x100000


class Stage(IntEnum):
    """Where macros belong, in a list of macro names (SMFIM_*)."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    EOB = 5
    EOH = 6


class State(IntEnum):
    """How far a session is."""

    OPENED = auto()
    READY = auto()
    SENDER = auto()
    RECIPIENTS = auto()
    HEADER = auto()
    BODY = auto()
    JUDGED = auto()
    CLOSED = auto()


def _leave() -> dict[int, State]:
    return {Command.ABORT: State.READY, Command.QUIT: State.CLOSED, Command.QUIT_NC: State.READY}


# Sendmail sends no ABORT after a MAIL that it got no reply to, so MAIL and HELO also end an envelope.
AFTER: Mapping[State, Mapping[int, State]] = {
    State.OPENED: {Command.OPTNEG: State.READY, Command.QUIT: State.CLOSED},
    State.READY: _leave()
    | dict.fromkeys((Command.MACRO, Command.CONNECT, Command.HELO, Command.UNKNOWN), State.READY)
    | {Command.MAIL: State.SENDER},
    State.SENDER: _leave()
    | dict.fromkeys((Command.MACRO, Command.UNKNOWN, Command.MAIL), State.SENDER)
    | {Command.HELO: State.READY, Command.RCPT: State.RECIPIENTS},
    State.RECIPIENTS: _leave()
    | dict.fromkeys((Command.MACRO, Command.UNKNOWN, Command.RCPT), State.RECIPIENTS)
    | {Command.HELO: State.READY, Command.MAIL: State.SENDER}
    | {Command.DATA: State.HEADER, Command.HEADER: State.HEADER, Command.EOH: State.BODY},
    State.HEADER: _leave() | {Command.MACRO: State.HEADER, Command.HEADER: State.HEADER, Command.EOH: State.BODY},
    State.BODY: _leave() | {Command.MACRO: State.BODY, Command.BODY: State.BODY, Command.EOB: State.JUDGED},
    State.JUDGED: _leave(),
    State.CLOSED: {},
}
"""Which command may come in which state, and the state after it. What is not here is a `ProtocolError`."""

NO_REPLY: Mapping[int, Step] = {
    Command.CONNECT: Step.NR_CONN,
    Command.HELO: Step.NR_HELO,
    Command.MAIL: Step.NR_MAIL,
    Command.RCPT: Step.NR_RCPT,
    Command.DATA: Step.NR_DATA,
    Command.UNKNOWN: Step.NR_UNKN,
    Command.HEADER: Step.NR_HDR,
    Command.EOH: Step.NR_EOH,
    Command.BODY: Step.NR_BODY,
}
"""The flag under which the MTA waits for no reply to a command."""

_CONNECTION = frozenset(
    {Response.CONTINUE, Response.ACCEPT, Response.REJECT, Response.TEMPFAIL, Response.REPLYCODE, Response.SHUTDOWN, Response.CONN_FAIL}
)
_MESSAGE = frozenset(
    {Response.CONTINUE, Response.ACCEPT, Response.REJECT, Response.TEMPFAIL, Response.REPLYCODE, Response.DISCARD, Response.SHUTDOWN}
)
_CHANGES = frozenset(
    {
        Response.ADDHEADER,
        Response.INSHEADER,
        Response.CHGHEADER,
        Response.ADDRCPT,
        Response.ADDRCPT_PAR,
        Response.DELRCPT,
        Response.CHGFROM,
        Response.REPLBODY,
        Response.QUARANTINE,
    }
)
LAWFUL: Mapping[int, frozenset[Response]] = {
    Command.OPTNEG: frozenset({Response.OPTNEG}),
    Command.CONNECT: _CONNECTION,
    Command.HELO: _CONNECTION,
    Command.MAIL: _MESSAGE,
    Command.RCPT: _MESSAGE,
    Command.DATA: _MESSAGE,
    Command.UNKNOWN: _MESSAGE - {Response.DISCARD},
    Command.HEADER: _MESSAGE | {Response.SKIP},
    Command.EOH: _MESSAGE,
    Command.BODY: _MESSAGE | {Response.SKIP},
    Command.EOB: _MESSAGE | _CHANGES | {Response.PROGRESS},
    Command.MACRO: frozenset(),
    Command.ABORT: frozenset(),
    Command.QUIT: frozenset(),
    Command.QUIT_NC: frozenset(),
}
"""The replies that both MTAs understand after a command; none where they wait for none."""

NEEDS: Mapping[Response, Action] = {
    Response.ADDHEADER: Action.ADDHDRS,
    Response.INSHEADER: Action.ADDHDRS,
    Response.CHGHEADER: Action.CHGHDRS,
    Response.ADDRCPT: Action.ADDRCPT,
    Response.ADDRCPT_PAR: Action.ADDRCPT_PAR,
    Response.DELRCPT: Action.DELRCPT,
    Response.CHGFROM: Action.CHGFROM,
    Response.REPLBODY: Action.CHGBODY,
    Response.QUARANTINE: Action.QUARANTINE,
}
"""What must have been negotiated before a change may be asked for."""


@dataclass(frozen=True, slots=True)
class Options:
    """What one side offers, or what both agreed on: `actions` of `Action`, `steps` of `Step`."""

    version: int
    actions: int
    steps: int

    def agree(self, actions: int, steps: int) -> Options:
        """Of what the MTA offers here, take what we want. Raises ProtocolError for a version that nobody speaks."""
        if self.version < OLDEST_VERSION:
            raise ProtocolError(f"protocol version {self.version} is older than {OLDEST_VERSION}")
        return Options(min(self.version, VERSION), self.actions & actions, self.steps & steps)


def packet(code: int, payload: bytes = b"") -> bytes:
    """One packet."""
    return HEAD.pack(len(payload) + 1, code) + payload


def reply(command: int, response: Response, payload: bytes = b"") -> bytes:
    """The packet that answers `command`. Raises ProtocolError when the MTA would not understand it there."""
    if response not in LAWFUL[command]:
        raise ProtocolError(f"{response.name} does not answer {Command(command).name}")
    return packet(response, payload)


def strings(payload: bytes) -> list[bytes]:
    """The strings of a payload, without their NULs. Raises ProtocolError when the last one is not ended."""
    parts = payload.split(b"\0")
    if parts.pop():
        raise ProtocolError("a string has no end")
    return parts


def text(value: bytes) -> str:
    """A string of the wire for people and policies; bytes that are not UTF-8 survive as surrogates."""
    return value.decode("utf-8", "surrogateescape")


def cstring(value: str) -> bytes:
    """A string for the wire, with its NUL."""
    try:
        data = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ProtocolError(f"no bytes stand for {value!a}") from error
    if b"\0" in data:
        raise ProtocolError("a string must not hold NUL")
    return data + b"\0"


def options(payload: bytes) -> Options:
    """Unpack the MTA's offer."""
    if len(payload) < _OPTIONS.size:
        raise ProtocolError("the offer of options is too short")
    return Options(*_OPTIONS.unpack_from(payload))


def macro_lists(wanted: Mapping[Stage, str]) -> bytes:
    """Pack the names of the macros that we want at each stage, for `agreement`."""
    return b"".join(_INDEX.pack(stage) + cstring(names) for stage, names in wanted.items())


def agreement(agreed: Options, lists: bytes) -> bytes:
    """Pack what we agree to, and the `macro_lists` where the MTA lets us choose them."""
    names = lists if agreed.actions & int(Action.SETSYMLIST) else b""
    return reply(Command.OPTNEG, Response.OPTNEG, _OPTIONS.pack(agreed.version, agreed.actions, agreed.steps) + names)


def connection(payload: bytes) -> tuple[str, str]:
    """Unpack CONNECT to host name and address; the address is "" where the family has none that we know."""
    host, nul, rest = payload.partition(b"\0")
    if not nul or not rest:
        raise ProtocolError("CONNECT names no family")
    family = rest[:1]
    if family == b"U":
        return text(host), ""
    if family not in b"L46":
        raise ProtocolError(f"CONNECT names the unknown family {family!r}")
    if len(rest) < 1 + _PORT.size:
        raise ProtocolError("CONNECT is too short")
    parts = strings(rest[1 + _PORT.size :])
    if len(parts) != 1:
        raise ProtocolError("CONNECT holds no single address")
    return text(host), text(parts[0]) if family == b"L" else _address(text(parts[0]))


def _address(value: str) -> str:
    # Both MTAs write IPv6 addresses with the tag of RFC 5321 4.1.3.
    try:
        address = ipaddress.ip_address(value[5:] if value[:5].lower() == "ipv6:" else value)
    except ValueError as error:
        raise ProtocolError(f"{value!a} is no address") from error
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


def macros(payload: bytes) -> tuple[int, dict[bytes, bytes]]:
    """Unpack MACRO to the command that the macros belong to, and the macros, names without braces."""
    if not payload or payload[0] not in LAWFUL:
        raise ProtocolError("macros belong to no known command")
    parts = strings(payload[1:])
    if len(parts) & 1:
        raise ProtocolError("a macro has no value")
    return payload[0], {name.strip(b"{}"): value for name, value in zip(parts[::2], parts[1::2], strict=True)}


def _field(name: str, value: str, *, space: bool) -> bytes:
    # A line break that does not fold would start a field of somebody else's choice.
    if not _FIELD_NAME.fullmatch(name):
        raise ProtocolError(f"{name!a} is no name of a header field")
    folded = _FOLD.sub("\n", value)
    if "\r" in folded or re.search(r"\n(?![ \t])", folded):
        raise ProtocolError(f"the value of {name} breaks the line")
    return cstring(name) + cstring(" " + folded if space else folded)


def add_header(name: str, value: str, *, space: bool) -> bytes:
    """Append a header field. `space` says that HDR_LEADSPC is agreed, so that the space after the colon is ours to send."""
    return packet(Response.ADDHEADER, _field(name, value, space=space))


def insert_header(name: str, value: str, *, space: bool, index: int = 0) -> bytes:
    """Insert a header field; index 0 is the very top, above the MTA's own Received."""
    return packet(Response.INSHEADER, _INDEX.pack(index) + _field(name, value, space=space))


def change_header(name: str, value: str, index: int, *, space: bool) -> bytes:
    """Change the `index`-th (from 1) field called `name`."""
    return packet(Response.CHGHEADER, _INDEX.pack(index) + _field(name, value, space=space))


def delete_header(name: str, index: int) -> bytes:
    """Delete the `index`-th (from 1) field called `name`: for an MTA, a change to nothing."""
    return packet(Response.CHGHEADER, _INDEX.pack(index) + _field(name, "", space=False))


def delete_recipient(address: bytes) -> bytes:
    """Take back a recipient, written as the MTA wrote it."""
    return packet(Response.DELRCPT, address + b"\0")


def add_recipient(address: str, parameters: str = "") -> bytes:
    """Add a recipient, with ESMTP parameters where there are any."""
    if not parameters:
        return packet(Response.ADDRCPT, cstring(address))
    return packet(Response.ADDRCPT_PAR, cstring(address) + cstring(parameters))


def change_sender(address: str, parameters: str = "") -> bytes:
    """Change the sender of the envelope, with ESMTP parameters where there are any."""
    return packet(Response.CHGFROM, cstring(address) + (cstring(parameters) if parameters else b""))


def hold(reason: str) -> bytes:
    """Have the MTA keep the mail in its own quarantine (Postfix: the hold queue)."""
    return packet(Response.QUARANTINE, cstring(reason))


def replace_body(content: bytes | memoryview) -> Iterator[bytes]:
    """Replace the body, CRLF lines, by as many packets as it takes."""
    view = memoryview(content)
    for start in range(0, max(len(view), 1), BODY_CHUNK):
        yield packet(Response.REPLBODY, bytes(view[start : start + BODY_CHUNK]))


def reply_code(answer: Reply) -> bytes:
    """Refuse with our own words (RFC 5321 4.2.1: several lines where they are long).

    Sendmail takes the text for a format, so percent signs are doubled; Postfix halves them again.
    """
    if not _STATUS.fullmatch(answer.status) or answer.status[0] != str(answer.code)[0] or len(str(answer.code)) != len("550"):
        raise ProtocolError(f"{answer.code} {answer.status} is no refusal")
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in " ".join(answer.text.split()))
    lines = textwrap.wrap(plain, _REPLY_LINE)[:_REPLY_LINES] or [""]
    marks = ["-"] * (len(lines) - 1) + [" "]
    escaped = (f"{answer.code}{mark}{answer.status} {line}".rstrip().replace("%", "%%") for mark, line in zip(marks, lines, strict=True))
    return packet(Response.REPLYCODE, cstring("\r\n".join(escaped)))
