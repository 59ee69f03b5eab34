"""Bad sets of signatures of every kind are refused with a reason while mail goes on, scanned by the last good set: YARA-X and ClamAV."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost.journal.store import SqliteJournal
from gatepost.services.trials import trial
from gatepost.signatures.manifest import RefusedError
from gatepost.signatures.store import Store
from gatepost.signatures.update import update
from gatepost.site.model import Site
from gatepost.site.signatures import SignatureSet
from tests.support.clamd import write_signatures
from tests.support.eicar import EICAR
from tests.support.gateway import Gateway
from tests.support.mails import mail, send
from tests.support.ports import wait_for
from tests.support.sink import Sink

STRANGER = "203.0.113.7"
RULES = "".join(f'rule own_{number} {{ strings: $a = "the word {number} of ours" condition: $a }}\n' for number in range(20)).encode()
BROAD = {"own.yar": b'rule all { strings: $a = "Dear" condition: $a }', "test.ndb": b"Test.Broad:0:*:" + b"Dear Bob".hex().encode() + b"\n"}
SETS = """
[signatures.own]
kind = "yara"
source = "{source}/own"
[signatures.clam]
kind = "clamav"
source = "{source}/clam"
[engines.yara]
rules = "{state}/signatures/own/current"
[engines.libclamav]
database = "{state}/signatures/clam/current"
"""


def publish(folder: Path, version: int, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    (folder / "SHA256SUMS").write_text(f"# version {version}\n{hashlib.sha256(content).hexdigest()}  {name}\n")


def bad(folder: Path, name: str, good: bytes) -> Iterator[tuple[str, bool]]:
    """Put one bad set after the other into the source; says what is wrong, and whether it must be refused (a cut set that still is one may be good)."""
    for end in range(0, len(good), 64):
        publish(folder, 5, name, good)
        (folder / name).write_bytes(good[:end])
        yield f"cut off at {end}", True
        publish(folder, 5, name, good[:end])
        yield f"cut off at {end}, with sums to match", not end
    publish(folder, 1, name, good)
    yield "older", True
    publish(folder, 5, name, b"")
    yield "empty", True
    publish(folder, 5, name, good + BROAD[name])
    yield "too broad", True


@pytest.fixture
def clam(home: Path) -> bytes:
    pytest.importorskip("gatepost.mail.engines.libclamav")
    write_signatures(home / "made")
    return (home / "made/test.ndb").read_bytes()


# The compiler of YARA-X complains when the garbage collector runs in the thread that sends mail.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_bad_set_is_refused_and_no_mail_goes_unscanned_meanwhile(
    gateway: Callable[..., Gateway], sink: Sink, home: Path, clam: bytes
) -> None:
    state = home / "gateway-0/state"
    site = Site.model_validate(
        {"site": {"name": "x", "state": str(state)}, "mail": {"domains": ["widget.example"], "next_hop": "a.example:25"}}
    )
    goods = {"own": ("yara", "own.yar", RULES), "clam": ("clamav", "test.ndb", clam)}
    for name, (kind, file, good) in goods.items():
        publish(home / "source" / name, 3, file, good)
        source = SignatureSet.model_validate({"kind": kind, "source": str(home / "source" / name)})
        assert update(Store(state / "signatures" / name), source, trial(site, kind)) is not None
    running = gateway(SETS.format(source=home / "source", state=state))
    stop, answers = threading.Event(), []

    def traffic() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            infected = number % 2
            content = mail(f"number {number}", file=("a.bin", EICAR if infected else b"harmless"))
            answers.append((infected, send(running.smtp, content, forwarded=STRANGER)[0]))

    sender = threading.Thread(target=traffic)
    sender.start()
    refused: dict[str, str] = {}
    try:
        for name, (kind, file, good) in goods.items():
            store = Store(state / "signatures" / name)
            source = SignatureSet.model_validate({"kind": kind, "source": str(home / "source" / name)})
            for what, must in bad(home / "source" / name, file, good):
                try:
                    taken = update(store, source, trial(site, kind))
                except RefusedError as error:
                    refused[f"{name} {what}"] = str(error)
                else:
                    assert not must, what
                    assert taken is not None
                    store.rollback()
                    for withdrawn in store.sets():
                        if withdrawn.withdrawn:
                            shutil.rmtree(store.folder / withdrawn.name)
        running.command("signatures", "update", status=1)
        wait_for(lambda: len(answers) > 20, "mail")
    finally:
        stop.set()
        sender.join()

    assert all(why for why in refused.values())
    assert len(refused) > 20
    assert set(answers) == {(0, 250), (1, 550)}
    events = SqliteJournal(state / "journal.sqlite", writes=False).judged(0, float("inf"))
    looked = [{one["name"]: one["state"] for one in event.data["engines"]} for event in events]
    assert len(looked) == len(answers)
    assert {(one["yara"], one["libclamav"]) for one in looked} == {("clean", "clean"), ("found", "found")}
    assert sum(b"number" in one.content for one in sink.delivered) == sum(not infected for infected, _ in answers)
