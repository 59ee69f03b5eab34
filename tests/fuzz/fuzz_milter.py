"""Whatever bytes an MTA sends, whole or in pieces, the session says the same; only ProtocolError escapes, and no mail passes its limits."""

from __future__ import annotations

from gatepost.mail.receive.milter_session import Content, EndOfMessage, MilterLimits, MilterSession
from gatepost.mail.receive.milter_wire import ProtocolError
from tests.support import milter_client as mta

LIMITS = MilterLimits(packet=4096, macros=1024, arguments=1024, envelope=2048, recipients=5, fields=20, header=4096, message=8192)
_MAIL = b"Subject: one\r\n two\r\nX-Tab:\tx\r\n\r\nbody\r\n\xff.\r\n"
SEEDS = [
    mta.session(_MAIL, (b"<b@example.net>", b"c@example.net")) + mta.packet(b"Q"),
    mta.session(_MAIL * 9) + mta.packet(b"A") + mta.session(_MAIL)[17:],
    mta.negotiation(2, 0x3F, 0x7F) + mta.connect(b"host", b"6", 25, b"IPv6:2001:db8::1") + mta.arguments(b"M", b"<>") + mta.packet(b"K"),
    mta.negotiation(6, 0, 0) + mta.connect(b"host", b"L", 0, b"/run/x") + mta.packet(b"U", b"XYZZY\0") + mta.packet(b"A"),
]


def target(data: bytes) -> None:
    step = data[0] + 1 if data else 1
    assert _run(data, len(data) or 1) == _run(data, step)


def _run(data: bytes, step: int) -> list[object] | str:
    """What a session says, its content joined; "error" when the peer broke the protocol."""
    session = MilterSession(LIMITS, busy=len(data) % 5 == 0)
    said: list[object] = []
    mail = b""
    sent = b""
    try:
        for start in range(0, len(data), step):
            for event in session.feed(data[start : start + step]):
                if isinstance(event, Content):
                    mail += event.data
                    assert len(mail) <= LIMITS.message
                else:
                    said.append((mail, event))
                    mail = b""
                if isinstance(event, EndOfMessage):
                    assert len(event.envelope.recipients) <= LIMITS.recipients
            sent += session.take()
    except ProtocolError:
        return "error"
    return [*said, sent, session.state]
