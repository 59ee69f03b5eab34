"""What goes wrong beside a running gateway: each planted alone, and each is one finding of `gatepost doctor` with its remedy."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.certificate import self_signed
from tests.support.commandline import gatepost
from tests.support.gateway import Gateway
from tests.support.plants import Fault, Plant, folder, plant, sink, site, strange_certificate
from tests.support.ports import free_port, wait_for
from tests.support.scripted import greeting
from tests.support.sink import Sink

from gatepost.journal.event import Event
from gatepost.journal.store import SqliteJournal
from gatepost.signatures.manifest import Manifest
from gatepost.signatures.store import Store

__all__ = ["plant", "sink"]


@pytest.fixture(scope="module")
def running(sink: Sink) -> Iterator[Gateway]:
    with folder() as home:
        gateway = Gateway(home, sink.port).start()
        wait_for(gateway.workers, "the first heartbeat with workers")
        yield gateway
        gateway.stop()


@pytest.fixture
def beside(plant: Plant, running: Gateway) -> Plant:
    """A site file that agrees with the running gateway in everything."""
    plant.set(state=running.home / "state", run=running.home / "run", smtp=running.smtp, milter=running.home / "milter.sock")
    plant.environment["MAIL_CONFIG"] = str(_postfix(plant))
    return plant


def _postfix(plant: Plant, *lines: str) -> Path:
    main = plant.file("postfix/main.cf", "\n".join(("compatibility_level = 3.6", *lines)) + "\n")
    return main.parent


def postfix(*lines: str) -> Fault:
    def fault(plant: Plant) -> None:
        _postfix(plant, *(line.format(**plant.values) for line in lines))

    return fault


def spoilt(spoil: Callable[[Path], object]) -> Fault:
    """The running gateway's state, copied and spoilt."""

    def fault(plant: Plant) -> None:
        state = plant.own_state(Path(str(plant.values["state"])))
        plant.set(state=state)
        spoil(state)

    return fault


def no_gateway(plant: Plant) -> None:
    (plant.home / "run").mkdir()
    plant.set(run=plant.home / "run", smtp=free_port(), milter=plant.home / "milter.sock")


def dead_socket(plant: Plant) -> None:
    path = plant.home / "dead.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    plant.engine(f"unix:{path}")


def old_clamd(request: bytes) -> bytes:
    """A clamd whose signatures are five days old."""
    if b"VERSION" in request:
        return b"ClamAV 1.4.3/27000/" + time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(time.time() - 5 * 86_400)).encode() + b"\0"
    return b"stream: Eicar-Test-Signature FOUND\0" if b"EICAR-STANDARD" in request else b"stream: OK\0"


def old_set(plant: Plant) -> None:
    _set(plant, time.time() - 30 * 3600 - 60)


def _set(plant: Plant, made: float) -> None:
    spoilt(lambda _state: None)(plant)
    store = Store(plant.state / "signatures/own")
    manifest = Manifest({"own.yar": hashlib.sha256(b"").hexdigest()}, 1, made)
    with store.locked(), store.staged(manifest, {"own.yar": b""}) as staged:
        store.take(staged)
    plant.set(extra='[signatures.own]\nkind = "yara"\nsource = "/nonexistent"')


def blind_rules(plant: Plant) -> None:
    rules = plant.file("own.yar", 'rule mine { strings: $a = "never to be seen" condition: $a }')
    plant.set(extra=f'[engines.yara]\nown_rules = false\nrules = "{rules}"')


def without_7z(plant: Plant) -> None:
    folder = plant.home / "bin"
    folder.mkdir()
    for program in ("lzop", "postconf", "uname", "sh"):
        if found := shutil.which(program):
            (folder / program).symlink_to(found)
    plant.environment["PATH"] = str(folder)


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(5000)
        file.write(os.urandom(20_000))


def future(state: Path) -> None:
    journal = SqliteJournal(state / "journal.sqlite")
    journal.append([Event(time.time() + 10_000, "engine.certified", "yara")], sync=True)
    journal.close()


def happened(kind: str, subject: str, at: float, **data: object) -> Fault:
    """An event in a copy of the running gateway's journal, `at` seconds from now."""

    def append(state: Path) -> None:
        journal = SqliteJournal(state / "journal.sqlite")
        journal.append([Event(time.time() + at, kind, subject, data)], sync=True)
        journal.close()

    return spoilt(append)


def set_of_tomorrow(plant: Plant) -> None:
    _set(plant, time.time() + 30 * 3600)


def small_disk(plant: Plant) -> None:
    plant.state.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m,mode=700", "tmpfs", plant.state], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs the right to mount a small disk")
    plant.cleanup.callback(subprocess.run, ["umount", plant.state], check=True)
    spoilt(lambda _state: None)(plant)


def strange_key(state: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(state / "keys/receipts.key", 65_534, 65_534)


def locked(plant: Plant) -> None:
    spoilt(lambda _state: None)(plant)
    connection = sqlite3.connect(plant.state / "journal.sqlite", isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    plant.cleanup.callback(connection.close)


def no_folder(state: Path) -> None:
    shutil.rmtree(state / "quarantine", ignore_errors=True)
    (state / "quarantine").write_text("a file")


def expired(plant: Plant) -> None:
    certificate, key = self_signed(plant.home, until=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
    plant.set(tls=f'tls = {{ certificate = "{certificate}", key = "{key}" }}')


def soon(plant: Plant) -> None:
    certificate, key = self_signed(plant.home, until=dt.datetime.now(dt.UTC) + dt.timedelta(days=3))
    plant.set(tls=f'tls = {{ certificate = "{certificate}", key = "{key}" }}')


def milter_closed(plant: Plant) -> None:
    plant.set(mode="0600")
    _postfix(plant, f"smtpd_milters = unix:{plant.values['milter']}")


BY_THE_DOCTOR: dict[str, tuple[Fault, str, str, str]] = {
    "the gateway does not run": (no_gateway, "gateway", "the gateway does not run", "gatepost mail serve"),
    "an engine's socket is missing": (
        lambda plant: plant.engine("unix:/nonexistent/clamd.ctl"),
        "engine socket",
        "the socket /nonexistent/clamd.ctl is missing",
        "start the engine's daemon",
    ),
    "an engine's socket is dead": (dead_socket, "engine socket", "nobody listens on unix:", "start the engine's daemon"),
    "an engine's port is refused": (
        lambda plant: plant.engine(f"127.0.0.1:{free_port()}"),
        "engine socket",
        "nobody listens on 127.0.0.1:",
        "start the engine's daemon",
    ),
    "an engine speaks another protocol": (
        lambda plant: plant.engine(plant.server(b"HTTP/1.0 400 Bad Request\r\n\r\n")),
        "engine",
        "clamav cannot be asked: clamd answered b'HTTP/1.0 400",
        "enabled = false",
    ),
    "an engine hangs up": (lambda plant: plant.engine(plant.server(b"")), "engine", "clamav cannot be asked", "enabled = false"),
    "an engine finds nothing": (blind_rules, "engine detects", "yara does not find the EICAR test file", "gatepost engines certify"),
    "signatures are old": (lambda plant: plant.engine(plant.server(old_clamd)), "signatures", "clamav are 5 days old", "clamav-freshclam"),
    "a set of signatures was never fetched": (
        site(extra='[signatures.own]\nkind = "yara"\nsource = "/nonexistent"'),
        "signature sets",
        "own was never fetched",
        "gatepost signatures update own",
    ),
    "a set of signatures is old": (old_set, "signature sets", "own, version 1, is 30 hours old", "by a timer"),
    "rules are gone since the start": (
        site(extra='[engines.yara]\nrules = "/nonexistent/own.yar"'),
        "engine",
        "cannot read the YARA rules /nonexistent/own.yar",
        "correct the option 'rules'",
    ),
    "a program for unpacking is missing": (without_7z, "unpacking", "the program 7z is missing: ARJ", "apt install p7zip-full"),
    "everybody may write the state": (spoilt(lambda state: state.chmod(0o777)), "folders", "everybody may write in", "chmod 700"),
    "others may look into the state": (spoilt(lambda state: state.chmod(0o755)), "folders", "others may look into", "chmod 700"),
    "others may read a key": (
        spoilt(lambda state: (state / "keys/receipts.key").chmod(0o644)),
        "keys",
        "others may read the key",
        "chmod 600",
    ),
    "a key is cut off": (
        spoilt(lambda state: os.truncate(state / "keys/quarantine.key", 7)),
        "keys",
        "quarantine.key is damaged",
        "restore it from a backup",
    ),
    "the journal is gone": (spoilt(lambda state: (state / "journal.sqlite").unlink()), "journal", "is gone", "Restore the newest backup"),
    "the journal is damaged": (
        spoilt(lambda state: damage(state / "journal.sqlite")),
        "journal",
        "the journal",
        "restore the newest backup",
    ),
    "the journal is locked": (locked, "journal", "another process holds the journal", "fuser"),
    "the journal is from the future": (spoilt(future), "journal", "lies in the future", "set the clock by NTP"),
    "the quarantine is a file": (spoilt(no_folder), "quarantine", "is not a folder", "remove it"),
    "a port is taken by somebody else": (lambda plant: plant.set(smtp=plant.listener()), "ports", "is taken by somebody else", "ss -ltnp"),
    "the gateway does not listen where it should": (site(smtp=free_port()), "ports", "does not listen on 127.0.0.1:", "restart it"),
    "the milter socket is elsewhere": (
        lambda plant: plant.set(milter=plant.home / "elsewhere.sock"),
        "milter socket",
        "elsewhere.sock is missing",
        "restart it",
    ),
    "the milter's group does not exist": (
        site(mode='0660"\ngroup = "nosuchgroup'),
        "milter socket",
        "there is no group nosuchgroup",
        "like postfix",
    ),
    "Postfix may not use the milter socket": (milter_closed, "milter socket", "Postfix may not", 'group = "postfix"'),
    "Postfix calls no milter": (
        postfix("smtpd_milter = unix:{milter}", "milter_default_action = tempfail"),
        "postfix",
        "smtpd_milter is no parameter",
        "write smtpd_milters instead",
    ),
    "Postfix passes mail when the gateway is down": (
        lambda plant: (plant.set(mode="0666"), postfix("smtpd_milters = unix:{milter}", "milter_default_action = accept")(plant)),
        "postfix",
        "milter_default_action = accept passes all mail unscanned",
        "postconf -e milter_default_action=tempfail",
    ),
    "the next hop has no address": (site(hop="mail.widget.invalid:25"), "next hop", "its name does not resolve", "declare it under hosts"),
    "the next hop is down": (lambda plant: plant.set(hop=f"127.0.0.1:{free_port()}"), "next hop", "Connection refused", "start it"),
    "the next hop is no mail server": (
        lambda plant: plant.set(hop=plant.cleanup.enter_context(greeting(b"SSH-2.0-OpenSSH_9.2\r\n"))),
        "next hop",
        "does not answer as a mail server",
        "is this the port",
    ),
    "the next hop refuses all mail": (
        lambda plant: plant.set(hop=plant.cleanup.enter_context(greeting(b"554 go away\r\n"))),
        "next hop",
        "it greets with 554",
        "ask its administrator",
    ),
    "a certificate has expired": (expired, "certificate", "expired on", "renew it"),
    "a certificate expires soon": (soon, "certificate", "expires in ", "renew it"),
    "a key of another certificate": (strange_certificate, "certificate", "is not the key of", "belongs together"),
    "too many workers for the memory": (site(workers=5000), "memory", "5000 scan workers may need", "lower mail.workers"),
    "everybody may write the site file": (
        lambda plant: plant.file("site.toml").chmod(0o666),
        "rights",
        "everybody may write",
        "chmod 644",
    ),
    "a key belongs to somebody else": (spoilt(strange_key), "keys", "belongs to user 65534", "chown --reference="),
    "the disk is nearly full": (small_disk, "disk", "are free below", "make room"),
    "a licence is over": (
        site(extra="[engines.yara]\nlicence_until = 2020-01-01"),
        "licence",
        "yara: its licence is over since 2020-01-01",
        "renew it",
    ),
    "the canary is switched off": (site(extra="[canary]\nenabled = false"), "canary", "is switched off", "enabled = true"),
    "the clock is behind": (set_of_tomorrow, "clock", "signatures were made 30 hours in its future", "timedatectl set-ntp true"),
    "a signature is braked": (
        happened("signatures.braked", "Win.Broad", -60, engine="clamav"),
        "signature brake",
        "the signature Win.Broad of clamav hits so much",
        "gatepost signatures undo Win.Broad",
    ),
    "an alert did not leave": (
        happened("alert.failed", "alerts", 0, what="alert", why="550 no such user"),
        "alerts",
        "the last alert did not leave: 550",
        "mail.virusalerts",
    ),
    "the backup is forgotten": (happened("backup.made", "backup", -20 * 86_400), "backup", "is 20 days old", "gatepost backup FILE"),
    "too few open files": (lambda plant: setattr(plant, "descriptors", 200), "descriptors", "may open 200 files only", "LimitNOFILE"),
}


@pytest.fixture(scope="module")
def harmless(running: Gateway) -> frozenset[str]:
    """What the doctor says of this machine when nothing is planted; a developer's machine may have faults of its own."""
    return frozenset(told["seen"] for told in _wrong(json.loads(gatepost("doctor", "--json", "--site", running.site).output)))


def _wrong(report: dict[str, list[dict[str, str]]]) -> list[dict[str, str]]:
    return [told for told in report["checks"] if told["severity"] != "well"]


@pytest.mark.parametrize("name", BY_THE_DOCTOR)
def test_the_doctor_names_one_finding_with_its_remedy(name: str, beside: Plant, harmless: frozenset[str]) -> None:
    fault, check, what, remedy = BY_THE_DOCTOR[name]
    fault(beside)

    result = gatepost(
        "doctor", "--json", "--site", beside.write(), environment=beside.environment, descriptors=beside.descriptors, seconds=60
    )

    assert "Traceback" not in result.errors, result.errors
    found = [told for told in _wrong(json.loads(result.output)) if told["seen"] not in harmless]
    assert [told["check"] for told in found] == [check], found
    assert what in found[0]["seen"]
    assert remedy in found[0]["remedy"]
    assert result.status == {"warning": 1, "error": 2}[found[0]["severity"]]


def test_a_whole_installation_has_no_finding(running: Gateway, harmless: frozenset[str]) -> None:
    result = gatepost("doctor", "--site", running.site)

    assert "✗" not in result.output
    assert result.status == (1 if harmless else 0)
    assert " 0 errors, " in result.output
