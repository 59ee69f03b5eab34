"""ClamAV by its daemon's socket, clamd(8).

What it does: gives clamd the raw mail and every part that clamd's own view of the raw mail may not show, by stream or by
descriptor (faster: clamd then writes no temporary file), and takes nothing but an exact answer for an answer.
Not its job: starting clamd or feeding it signatures.
Raises: `EngineError` for anything but an exact "OK" or "FOUND".

What clamd is given. clamd reads mail itself, and reads a plain mail (one reading, no oddity) as we do; so of a plain mail
the raw bytes suffice, with the members of containers, since we open some that clamd does not (lzma, zstd, LZMA in zip)
and a limit met there would pass in silence, and with what lies deeper than clamd's mail reader goes. Of any other mail clamd
also gets every part that we read in it, but for mere text that stands in the raw mail word for word (`content.telling`).
A large attachment of a plain mail is given decoded, and its middle is left out of the mail (`parse.outline`): clamd would look at it twice.

Limits. clamd skips what is over its MaxFileSize or MaxScanSize and says OK. Its settings cannot be asked for, so `max_size`
(25 MB, the default of StreamMaxLength and below that of the others) must not be above StreamMaxLength and MaxFileSize:
a larger piece is UNCHECKED and never sent. A large raw mail that is plain is covered by its parts.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from gatepost.mail.engines import clamnames
from gatepost.mail.engines.options import Options
from gatepost.mail.engines.wire import Address, Wire
from gatepost.mail.inspect.content import Piece, distinct, telling, too_large, within
from gatepost.mail.inspect.engine import EngineError, EngineInfo, EngineTimeoutError
from gatepost.mail.model import Envelope, Finding, Message, Outline, Part

DEFAULT_SOCKET = "unix:/var/run/clamav/clamd.ctl"
MAX_SIZE = 25_000_000
MAIL_DEPTH = 8  # clamd's mail reader gives up at a depth that its version decides; all known ones reach this
_REPLY_LIMIT = 4096
_INFO_SECONDS = 5.0
_REPLY = re.compile(rb"(?:stream|fd\[\d+\]): (?:OK|(?P<name>[^\0\n]+) FOUND)\0")
_VERSION = re.compile(rb"ClamAV (?P<version>[^/\0\n]+)(?:/(?P<set>\d+)(?:/(?P<date>[^\0\n]+))?)?\0")
_TOO_LONG = b"INSTREAM size limit exceeded"


class Clamav:
    """The engine `clamav`. Options: `socket`, `transfer` ("auto", "descriptor" or "stream"), `max_size` in bytes.

    "auto" passes descriptors over a Unix socket, until clamd once says that it cannot read one (mandatory access control may
    forbid it); from then on it streams.
    """

    local = False

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        self._address = Address.parse(given.text("socket", DEFAULT_SOCKET))
        self._transfer = given.choice("transfer", ("auto", "descriptor", "stream"))
        self._max_size = given.size("max_size", MAX_SIZE)
        given.done()
        if not self._address.path:
            if self._transfer == "descriptor":
                raise given.error("transfer", "can be 'descriptor' on a Unix socket only")
            self._transfer = "stream"

    def info(self) -> EngineInfo:
        """Ask for clamd's version and that of its daily signatures."""
        return parse_version(self._ask((b"zVERSION\0",), time.monotonic() + _INFO_SECONDS))

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Have the mail looked at."""
        del envelope
        return self.look(self.select(message), deadline)

    def select(self, message: Message) -> list[Piece]:
        """Choose the raw mail and what clamd might not see in it."""
        if message.plain and len(message.raw) > self._max_size:
            return distinct(Piece(part.path, part.data) for part in message.parts)
        outline = message.outline or Outline(bytes(message.raw), frozenset())
        parts = (
            (part for part in message.parts if part.path in outline.cut or _hidden_from_clamd(part)) if message.plain else telling(message)
        )
        return distinct([Piece("", outline.data, as_mail=True), *(Piece(part.path, part.data) for part in parts)])

    def look(self, pieces: Sequence[Piece], deadline: float) -> tuple[Finding, ...]:
        """Have `pieces` looked at one by one; each that is too large is UNCHECKED."""
        fit, large = within(pieces, self._max_size)
        findings = [too_large(piece, self.name, self._max_size) for piece in large]
        for piece in fit:
            signature = self._scan(piece, deadline)
            if signature is not None:
                findings.append(clamnames.finding(signature, piece.path, self.name))
        return tuple(findings)

    def _scan(self, piece: Piece, deadline: float) -> str | None:
        if self._transfer != "stream":
            reply = self._scan_descriptor(piece, deadline)
            if self._transfer == "descriptor" or not reply.endswith(b" ERROR\0"):
                return parse_reply(reply)
            self._transfer = "stream"
        return parse_reply(self._ask((b"zINSTREAM\0" + struct.pack("!I", len(piece.data)), piece.data, bytes(4)), deadline))

    def _ask(self, request: tuple[bytes | memoryview, ...], deadline: float) -> bytes:
        with Wire(self._address, deadline) as wire:
            try:
                wire.send(*request)
            except EngineTimeoutError:
                raise
            except EngineError as error:
                raise _why_hung_up(wire) or error from None
            return wire.rest(_REPLY_LIMIT)

    def _scan_descriptor(self, piece: Piece, deadline: float) -> bytes:
        descriptor = os.memfd_create("gatepost-piece", os.MFD_CLOEXEC)
        try:
            _write(descriptor, piece.data)
            with Wire(self._address, deadline) as wire:
                wire.send(b"zFILDES\0")
                wire.send_descriptor(descriptor)
                return wire.rest(_REPLY_LIMIT)
        finally:
            os.close(descriptor)


def parse_reply(reply: bytes) -> str | None:
    """Read clamd's answer about one piece: a signature's name, or None for clean. Raises EngineError for all else."""
    match = _REPLY.fullmatch(reply)
    if match is None:
        raise EngineError(f"clamd answered {_shown(reply)}" if reply else "clamd hung up without an answer")
    name = match["name"]
    return None if name is None else name.decode("utf-8", "replace")


def parse_version(reply: bytes) -> EngineInfo:
    """Read clamd's answer to VERSION; a set without official signatures has no mark and no time. Raises EngineError."""
    match = _VERSION.fullmatch(reply)
    if match is None:
        raise EngineError(f"clamd answered {_shown(reply)} to VERSION")
    at = 0.0
    with suppress(ValueError, OverflowError, UnicodeDecodeError):
        at = time.mktime(time.strptime((match["date"] or b"").decode(), "%a %b %d %H:%M:%S %Y"))
    return EngineInfo("ClamAV " + match["version"].decode("utf-8", "replace"), (match["set"] or b"").decode(), at)


def _hidden_from_clamd(part: Part) -> bool:
    return "!" in part.path or bool(part.reading) or part.depth > MAIL_DEPTH


def _why_hung_up(wire: Wire) -> EngineError | None:
    """Say what clamd told before it closed in the middle of our sending, if anything."""
    try:
        told = wire.receive()
    except EngineError:
        return None
    if _TOO_LONG in told:
        return EngineError("clamd takes less than max_size: set max_size of this engine to clamd's StreamMaxLength or below")
    return EngineError(f"clamd answered {_shown(told)} while it was sent a mail") if told else None


def _write(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _shown(reply: bytes) -> str:
    return repr(reply[:80])
