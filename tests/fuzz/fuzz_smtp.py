"""Whatever a client sends, however it is cut, the SMTP protocol raises nothing, and gives no mail a bare CR, a bare LF, a NUL, or no recipient."""

from __future__ import annotations

from gatepost.mail.receive.smtp_protocol import Features
from gatepost.mail.smtp.lines import fault
from tests.support.smtp_wire import World

_OPENING = b"EHLO x\r\n"
_ENVELOPE = b"MAIL FROM:<a@b.c> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<d@e.f> NOTIFY=NEVER\r\n"
SEEDS = (
    _OPENING + _ENVELOPE + b"DATA\r\n",
    _OPENING + _ENVELOPE + b"BDAT 5\r\nabc\r\nBDAT 3 LAST\r\n.\r\n",
    _OPENING + b"XFORWARD NAME=a ADDR=192.0.2.1 HELO=b\r\n" + _ENVELOPE + b"RSET\r\nNOOP\r\nVRFY x\r\nQUIT\r\n",
    b"LHLO x\r\n" + _ENVELOPE + b"DATA\r\n",
)


def target(data: bytes) -> None:
    """The first byte chooses how the rest is cut; each line is also tried as what follows a 354."""
    step = (data[0] % 7 if data else 0) * 5
    for lead in (b"", _OPENING, _OPENING + _ENVELOPE + b"DATA\r\n"):
        world = World(Features("gw", size=100_000, lmtp=data.startswith(b"L")), trusted=True).greet()
        for line in lead.splitlines(keepends=True):
            world.send(line)
        world.send(data, step)
        for envelope, content in world.mails:
            assert envelope.recipients
            assert not fault(content)
