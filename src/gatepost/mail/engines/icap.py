"""Any scanner that speaks ICAP (RFC 3507): RESPMOD or REQMOD for the raw mail and each different content in it.

What it does: sends each piece as the body of a made-up HTTP message; "no modification" is clean, anything changed is a find.
Not its job: HTTP; the encapsulated message exists because the protocol wants one.
Raises: `EngineError` for every reply that is neither.

Without `preview` the service sees every piece whole. With it, the service may say "no modification" after the first bytes and
so decide for itself what it need not see; switch it on only for services trusted to do that well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from gatepost.mail.engines.options import Options
from gatepost.mail.engines.reply import Head, dechunk, split_head
from gatepost.mail.engines.wire import Address, Wire
from gatepost.mail.inspect.content import Piece, everything, too_large, within
from gatepost.mail.inspect.engine import EngineError, EngineInfo
from gatepost.mail.model import Buffer, Envelope, Finding, Kind, Message

MAX_SIZE = 100_000_000
_INFO_SECONDS = 5.0
_CONTINUE, _OK, _UNMODIFIED = 100, 200, 204
_REPLY_EXTRA = 256 * 1024
# No standard names the field in which a service tells what it found; these are the ones in use.
_NAMES = ("x-infection-found", "x-virus-id", "x-virus-name", "x-violations-found", "x-blocked-reason")


class Icap:
    """The engine `icap`. Options: `socket`, `service` (path of the URL), `method` ("RESPMOD" or "REQMOD"), `preview`, `max_size`."""

    local = False

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        self._address = Address.parse(given.text("socket", "tcp:127.0.0.1:1344"))
        self._service = given.text("service", "avscan").strip("/")
        self._method = given.choice("method", ("RESPMOD", "REQMOD"))
        self._preview = given.flag("preview", default=False)
        self._max_size = given.size("max_size", MAX_SIZE)
        self._preview_size = 0
        given.done()

    def info(self) -> EngineInfo:
        """Ask OPTIONS: which service it is, and by ISTag (RFC 3507 4.7) which signatures it has."""
        with Wire(self._address, time.monotonic() + _INFO_SECONDS) as wire:
            wire.send(self._request("OPTIONS", "Encapsulated: null-body=0\r\n"))
            head, _ = _receive(wire, 0)
        if head.code != _OK:
            raise EngineError(f"the ICAP service answered {head.code} {head.reason} to OPTIONS; is 'service' right?")
        offered = head.fields.get("preview", "")
        self._preview_size = int(offered) if self._preview and offered.isdecimal() and offered.isascii() else 0
        return EngineInfo(head.fields.get("service", "ICAP"), head.fields.get("istag", "").strip('"'))

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Have the mail looked at."""
        del envelope
        return self.look(self.select(message), deadline)

    def select(self, message: Message) -> list[Piece]:
        """Choose everything: how well the service reads mail is not known."""
        return everything(message)

    def look(self, pieces: Sequence[Piece], deadline: float) -> tuple[Finding, ...]:
        """Have `pieces` looked at one by one."""
        fit, large = within(pieces, self._max_size)
        findings = [too_large(piece, self.name, self._max_size) for piece in large]
        for piece in fit:
            name = self._ask(piece.data, deadline)
            if name is not None:
                findings.append(Finding(Kind.VIRUS, name, piece.path, self.name))
        return tuple(findings)

    def _ask(self, data: Buffer, deadline: float) -> str | None:
        http, encapsulated = self._encapsulate(len(data))
        first = min(self._preview_size, len(data))
        preview = f"Preview: {first}\r\n" if self._preview_size else ""
        head = self._request(self._method, f"Allow: 204\r\n{preview}Encapsulated: {encapsulated}\r\n") + http
        with Wire(self._address, deadline) as wire:
            if not self._preview_size:
                wire.send(head, *_chunks(data), b"0\r\n\r\n")
                return judge(*_receive(wire, len(data)), data)
            whole = first == len(data)
            wire.send(head, *_chunks(data[:first]), b"0; ieof\r\n\r\n" if whole else b"0\r\n\r\n")
            answer = _receive(wire, len(data))
            if answer[0].code == _CONTINUE and not whole:
                wire.send(*_chunks(data[first:]), b"0\r\n\r\n")
                answer = _receive(wire, len(data))
            return judge(*answer, data)

    def _request(self, method: str, fields: str) -> bytes:
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host or "localhost"
        url = f"icap://{host}:{self._address.port}/{self._service}" if self._address.port else f"icap://{host}/{self._service}"
        return f"{method} {url} ICAP/1.0\r\nHost: {host}\r\nUser-Agent: Gatepost\r\nConnection: close\r\n{fields}\r\n".encode()

    def _encapsulate(self, size: int) -> tuple[bytes, str]:
        """Make the HTTP message around a piece, and the list of where its sections begin (RFC 3507 4.4.1)."""
        length = f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
        if self._method == "REQMOD":
            request = f"POST /part HTTP/1.1\r\nHost: mail.invalid\r\n{length}".encode()
            return request, f"req-hdr=0, req-body={len(request)}"
        request = b"GET /part HTTP/1.1\r\nHost: mail.invalid\r\n\r\n"
        response = f"HTTP/1.1 200 OK\r\n{length}".encode()
        return request + response, f"req-hdr=0, res-hdr={len(request)}, res-body={len(request) + len(response)}"


def judge(head: Head, body: bytes, sent: Buffer) -> str | None:
    """Say what a reply means: None for clean, or the name of what was found. Raises EngineError."""
    if head.code == _UNMODIFIED:
        return None
    if head.code != _OK:
        raise EngineError(f"the ICAP service answered {head.code} {head.reason}")
    told = next((head.fields[name] for name in _NAMES if head.fields.get(name)), "")
    if told:
        return _threat(told)
    inner = split_head(body, "HTTP")
    if inner is None or inner[0].code != _OK:
        return "blocked-by-icap-service"
    return None if dechunk(inner[1]) == sent else "changed-by-icap-service"


def _threat(told: str) -> str:
    """Find the name in "Type=0; Resolution=2; Threat=Eicar;"; other forms are the name."""
    for item in told.split(";"):
        key, _, value = item.partition("=")
        if key.strip().lower() == "threat" and value.strip():
            return value.strip()
    return told


def _receive(wire: Wire, size: int) -> tuple[Head, bytes]:
    """Receive one reply: its head, and its encapsulated message when there is one."""
    data = b""
    while True:
        found = split_head(data, "ICAP")
        if found is not None and (_is_bare(found[0]) or _is_whole(found[1])):
            return found
        more = wire.receive()
        if not more:
            raise EngineError(f"the ICAP service hung up within its answer: {data[:80]!r}")
        data += more
        if len(data) > size + size // 8 + _REPLY_EXTRA:
            raise EngineError("the ICAP service answered more than it was sent")


def _is_bare(head: Head) -> bool:
    return head.code != _OK or "-body" not in head.fields.get("encapsulated", "").replace("null-body", "")


def _is_whole(body: bytes) -> bool:
    inner = split_head(body, "HTTP")
    return inner is not None and dechunk(inner[1]) is not None


def _chunks(data: Buffer) -> Iterator[bytes | memoryview]:
    if len(data):
        yield b"%x\r\n" % len(data)
        yield data
        yield b"\r\n"
