"""Senders that behave as RFC 5321 asks: what is put off or not answered is sent again, and every answer is written down."""

from __future__ import annotations

import itertools
import smtplib
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.eicar import EICAR, MARKER
from tests.support.judge import NO_ANSWER, Sent
from tests.support.mails import mail
from tests.support.mails import send as send_once

STRANGER, WORKSTATION = "203.0.113.7", "192.168.3.100"
DIRECTIONS = {
    "inbound": ("carol@partner.example", "bob@widget.example", STRANGER),
    "outbound": ("bob@widget.example", "carol@partner.example", WORKSTATION),
}
CLEAN, MARKED, INFECTED, BANNED = "clean", "marked", "infected", "banned"
TEXTS = {MARKED: MARKER.decode(), INFECTED: EICAR.decode()}
DATE = b"Date: Mon, 23 Nov 2026 08:00:00 +0000\r\n"
"""An MTA adds one where there is none, and then what is scanned is not what was sent."""

_numbers = itertools.count(1)


@dataclass
class Traffic:
    """Sends to `port`; with `forwarded` the client's address is told by XFORWARD. `sent` is the ledger, `patience` in seconds."""

    port: int
    forwarded: bool = False
    senders: int = 4
    kinds: tuple[str, ...] = (CLEAN, INFECTED, CLEAN, BANNED)
    patience: float = 120.0
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ways: dict[int, str] = {}

    def write(self, kind: str, direction: str = "inbound") -> Sent:
        """A new mail in the ledger, not sent yet. Every engine knows INFECTED, ClamAV alone MARKED; BANNED is kept by the default policy."""
        number = next(_numbers)
        name = f"{kind}-{direction}-{number}"
        file = ("setup.exe", b"MZ" + bytes(300)) if kind == BANNED else ("notes.txt", b"nothing\n" * 50)
        content = DATE + mail(name, text=f"{TEXTS.get(kind, 'Hello')} {number}\n", file=file)
        one = Sent(name, DIRECTIONS[direction][1], content, harmful=kind in TEXTS)
        self._ways[id(one)] = direction
        self.sent.append(one)
        return one

    def mixed(self, count: int) -> list[Sent]:
        """Mails of every kind, both ways."""
        pairs = itertools.cycle(itertools.product(self.kinds, DIRECTIONS))
        return [self.write(*pair) for pair in itertools.islice(pairs, count)]

    def attempt(self, one: Sent) -> int:
        """Send it once; gives the final code, which is in the ledger too."""
        sender, recipient, client = DIRECTIONS[self._ways[id(one)]]
        try:
            code, one.said = send_once(self.port, one.content, sender, (recipient,), client if self.forwarded else "", self.patience)
        except (OSError, smtplib.SMTPException) as error:
            code, one.said = NO_ANSWER, str(error)
        one.answers.append(code)
        return code

    def send(self, mails: Iterable[Sent]) -> list[int]:
        """Send each once, some at a time."""
        with ThreadPoolExecutor(self.senders) as pool:
            return list(pool.map(self.attempt, mails))

    def settle(self, seconds: float = 90.0) -> None:
        """Send what was put off again and again, until every mail has a final answer."""
        end = time.monotonic() + seconds
        while waiting := [one for one in self.sent if not one.settled]:
            if time.monotonic() > end:
                raise AssertionError(f"{len(waiting)} without a final answer, so {waiting[0].identifier}: {waiting[0].said}")
            self.send(waiting)
            time.sleep(0.2)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Keep new mails coming until the block ends."""
        stop = threading.Event()
        pairs = itertools.cycle(itertools.product(self.kinds, DIRECTIONS))
        lock = threading.Lock()

        def run() -> None:
            while not stop.is_set():
                with lock:
                    one = self.write(*next(pairs))
                if self.attempt(one) == NO_ANSWER:
                    time.sleep(0.05)

        threads = [threading.Thread(target=run, daemon=True) for _ in range(self.senders)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(120)
