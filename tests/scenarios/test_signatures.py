"""New signatures in a running gateway: taken over without dropping a mail, a bad set changes nothing, and one can go back."""

from __future__ import annotations

import hashlib
import smtplib
from collections.abc import Callable
from pathlib import Path

from gatepost.journal.store import SqliteJournal
from tests.support.gateway import Gateway
from tests.support.mails import mail, send
from tests.support.ports import wait_for
from tests.support.sink import Sink

STRANGER = "203.0.113.7"
EXTRA = """
[signatures.own]
kind = "yara"
source = "{source}"
[engines.yara]
rules = "{state}/signatures/own/current"
"""


def publish(folder: Path, version: int, word: str) -> None:
    rule = f'rule found_{word} {{ strings: $a = "the word {word}" condition: $a }}\n'.encode()
    folder.mkdir(exist_ok=True)
    (folder / "own.yar").write_bytes(rule)
    (folder / "SHA256SUMS").write_text(f"# version {version}\n{hashlib.sha256(rule).hexdigest()}  own.yar\n")


def test_scanning_goes_on_while_signatures_come_and_go(gateway: Callable[..., Gateway], sink: Sink, home: Path) -> None:
    running = gateway()
    source = running.home / "source"
    publish(source, 1, "alpha")
    running.write(EXTRA.format(source=source, state=running.home / "state"))
    answers: list[int] = []

    def code(word: str) -> int:
        try:
            answers.append(send(running.smtp, mail("letter", f"this has the word {word}\r\n"), forwarded=STRANGER)[0])
        except (OSError, smtplib.SMTPException):
            return 421  # a front that ends hangs up on who has not begun a mail; the sender comes again
        return answers[-1]

    assert code("alpha") == 250
    assert "own: updated to version 1" in running.command("signatures", "update")
    wait_for(lambda: code("alpha") == 550, "the first set")
    publish(source, 2, "beta")
    running.command("signatures", "update")
    wait_for(lambda: code("beta") == 550, "the second set")
    assert code("alpha") == 250

    (source / "own.yar").write_text("rule broken")
    publish_sums_of_what_lies_there(source, 3)
    running.command("signatures", "update", status=1)
    assert code("beta") == 550

    assert "own: rolled back to version 1" in running.command("signatures", "rollback", "own")
    wait_for(lambda: code("alpha") == 550, "the first set again")
    assert set(answers) == {250, 550}
    assert '"in_use": true' in running.command("signatures", "list", "--json")
    kinds = [event.kind for _number, event in SqliteJournal(running.home / "state/journal.sqlite", writes=False).events(subject="own")]
    assert kinds == ["signatures.updated", "signatures.updated", "signatures.refused", "signatures.rolledback"]


def publish_sums_of_what_lies_there(folder: Path, version: int) -> None:
    digest = hashlib.sha256((folder / "own.yar").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"# version {version}\n{digest}  own.yar\n")
