"""Driving the SMTP protocol without a network: a scripted world for `SmtpProtocol`."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.mail.model import Envelope, Reply
from gatepost.mail.receive.smtp_protocol import Abandoned, Content, EndOfMessage, Features, Recipient, SmtpProtocol, StartTls

TAKEN = Reply(250, "2.0.0", "taken")


@dataclass
class World:
    """Answers everything, keeps every mail; `refused` recipients get 550."""

    features: Features = field(default_factory=lambda: Features("gw.example"))
    trusted: bool = False
    refused: tuple[str, ...] = ()
    mails: list[tuple[Envelope, bytes]] = field(default_factory=list)
    content: bytes = b""
    output: bytes = b""

    def __post_init__(self) -> None:
        self.protocol = SmtpProtocol(self.features, "192.0.2.7", trusted=self.trusted)

    def greet(self) -> World:
        self.protocol.greet()
        self.output += self.protocol.take_output()
        return self

    def send(self, data: bytes, step: int = 0) -> list[int]:
        """Send `data` in pieces of `step` bytes (0: at once); gives the codes of the replies."""
        before = len(self.output)
        for start in range(0, len(data), step or len(data) or 1):
            self.protocol.receive(data[start : start + (step or len(data))])
            self._work()
        return [int(line[:3]) for line in self.output[before:].split(b"\r\n") if line[3:4] == b" "]

    def _work(self) -> None:
        while (event := self.protocol.next_event()) is not None:
            self._take(event)
        self.output += self.protocol.take_output()

    def _take(self, event: object) -> None:
        match event:
            case Content(data):
                self.content += data
            case Recipient(address, _):
                self.protocol.answer(Reply(550, "5.1.1", "unknown") if address in self.refused else TAKEN)
            case EndOfMessage():
                envelope = self.protocol.envelope(0.0)
                self.mails.append((envelope, self.content))
                self.content = b""
                self.protocol.answer(*[TAKEN] * len(envelope.recipients))
            case Abandoned():
                self.content = b""
            case StartTls():
                self.protocol.tls_begins()
                self.protocol.tls_started()
