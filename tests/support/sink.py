"""A mail server that keeps whatever it is given: the end of the line in scenarios."""

from __future__ import annotations

import ssl
import threading
import time
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.ports import free_port


@dataclass(frozen=True)
class Delivered:
    """One mail as it arrived: exact bytes as on the wire, without dot-stuffing."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


@dataclass
class Sink:
    """Listens on a port of 127.0.0.1 until `stop`. What Gatepost writes itself goes to `alerts`; with `tls` it takes mail encrypted only."""

    delivered: list[Delivered] = field(default_factory=list)
    alerts: list[Delivered] = field(default_factory=list)
    reply: str = "250 OK"
    port: int = field(default_factory=free_port)
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._controller: Controller | None = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            decode_data=False,
            data_size_limit=200 << 20,
            tls_context=self.tls,
            require_starttls=self.tls is not None,
        )
        self._controller.start()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 aiosmtpd's name
        if self.reply.startswith("250"):
            content = envelope.original_content or b""
            with self._lock:
                box = self.alerts if b"From: Gatepost <" in content[:2000] else self.delivered
                box.append(Delivered(envelope.mail_from or "", tuple(envelope.rcpt_tos), content))
        return self.reply

    def wait(self, count: int, seconds: float = 30.0) -> list[Delivered]:
        """Wait until so many mails have come."""
        end = time.monotonic() + seconds
        while len(self.delivered) < count and time.monotonic() < end:
            time.sleep(0.02)
        return list(self.delivered)

    def stop(self) -> None:
        """Take no more mail; harmless when it has been stopped already."""
        with self._lock:
            controller, self._controller = self._controller, None
        if controller is not None:
            controller.stop()
