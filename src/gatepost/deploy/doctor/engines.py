"""Checks of the engines: are they here, do they answer, do they find the test file, are their signatures fresh; and can we unpack.

Raises: nothing of its own.
"""

from __future__ import annotations

import ctypes.util
import socket
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from gatepost.deploy.doctor.check import Machine, Seen, error, warning, well
from gatepost.mail.inspect import registry
from gatepost.mail.inspect.certify import certify
from gatepost.mail.inspect.engine import Engine, EngineError, EngineInfo
from gatepost.mail.inspect.samples import samples
from gatepost.mail.model import Limits
from gatepost.mail.pipeline import opened
from gatepost.signatures.store import Store
from gatepost.signatures.update import OLD, STALE, age
from gatepost.site.base import Endpoint, parse_socket
from gatepost.site.mail import ANTIVIRUS
from gatepost.site.mail import Engine as Section
from gatepost.site.model import Site

PLAIN = "body-7bit"
"""The first of all samples, in the simplest of all wrappings; making the others would take longer than all else here."""

PROGRAMS = {
    "7z": ("p7zip-full", "ARJ, WIM, CHM, DMG, disk images, UDF, NSIS and damaged 7z, RAR, CAB, LHA and ISO"),
    "lzop": ("lzop", "LZO"),
}
"""Programs that unpack: Debian package, and the formats that need them."""

LIBRARIES = {"archive": ("libarchive13", "7z, RAR, CAB, LHA, CPIO, RPM, AR, ISO 9660, XAR and LZ4")}


def sockets(site: Site, _machine: Machine) -> Iterator[Seen]:
    """Whether the engines' daemons listen."""
    for name, engine in _enabled(site):
        written = engine.options.get("socket")
        if isinstance(written, str):
            trouble = _unreached(written)
            yield _severe(engine, f"engine {name}: {trouble[0]}", trouble[1]) if trouble else well(f"engine {name} listens on {written}")


def answers(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether each engine can be made and speaks as it should. An engine whose socket is dead is told of by `sockets` alone."""
    for name, engine in _enabled(site):
        if not _listens(engine):
            continue
        try:
            yield well(f"{name}: {_made(machine, name, engine)[1].version}")
        except EngineError as cause:
            what, _, remedy = str(cause).rpartition("; ")
            otherwise = f"mend it, or set enabled = false in [engines.{name}] of the site file"
            yield _severe(engine, f"{name} cannot be asked: {what or remedy}", remedy if what else otherwise)


def detects(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether each antivirus engine finds the test file and passes its harmless twin."""
    pair = list(takewhile(lambda sample: sample.name == PLAIN, samples()))
    for name, engine, made, _info in _working(site, machine):
        if (engine.kind or name) not in ANTIVIRUS:
            continue
        certificate = certify(made, lambda raw: opened(raw, Limits()), pair)
        if certificate.missed:
            yield _severe(
                engine,
                f"{name} does not find the EICAR test file: {certificate.missed[0][1]}",
                "give it signatures, then run gatepost engines certify",
            )
        elif certificate.false_alarms:
            yield _severe(
                engine,
                f"{name} calls harmless mail bad: {certificate.false_alarms[0][1]}",
                "look at its rules, then run gatepost engines certify",
            )
        else:
            yield well(f"{name} finds the test file")


def signatures(site: Site, machine: Machine) -> Iterator[Seen]:
    """How old the signatures of antivirus engines are; engines that do not say are passed over."""
    for name, engine, _engine, info in _working(site, machine):
        age = machine.now() - info.signatures_at
        if not info.signatures_at or (engine.kind or name) not in ANTIVIRUS:
            continue
        if age > STALE:
            yield warning(
                f"the signatures of {name} are {age / 86_400:.0f} days old",
                "nobody updates them: look at its update service, like systemctl status clamav-freshclam",
            )
        elif age > OLD:
            yield warning(f"the signatures of {name} are {age / 3600:.0f} hours old", "look whether its update service still runs")
        else:
            yield well(f"the signatures of {name} are {age / 3600:.0f} hours old")


def sets(site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether each set of signatures that the site declares is here, and how old it is."""
    for name in site.signatures:
        current = Store(Path(site.site.state) / "signatures" / name).current()
        if current is None:
            yield error(f"the set of signatures {name} was never fetched", f"gatepost signatures update {name}")
            continue
        old = age(current, machine.now())
        text = f"the set of signatures {name}, version {current.version}, is {old / 3600:.0f} hours old"
        yield warning(text, f"gatepost signatures update {name}, hourly by a timer") if old > OLD else well(text)


def unpackers(_site: Site, machine: Machine) -> Iterator[Seen]:
    """Whether the programs and libraries for unpacking are here."""
    for program, (package, formats) in PROGRAMS.items():
        if machine.which(program):
            yield well(f"{program} is here")
        else:
            yield warning(
                f"the program {program} is missing: {formats} cannot be opened, and such mail is held as unchecked",
                f"apt install {package}",
            )
    for library, (package, formats) in LIBRARIES.items():
        if ctypes.util.find_library(library):
            yield well(f"lib{library} is here")
        else:
            yield error(f"the library lib{library} is missing: {formats} cannot be opened", f"apt install {package}")


def _enabled(site: Site) -> Iterator[tuple[str, Section]]:
    return ((name, engine) for name, engine in site.engines.items() if engine.enabled)


def _made(machine: Machine, name: str, engine: Section) -> tuple[Engine, EngineInfo]:
    """The engine and what it says of itself. Raises EngineError."""
    if name not in machine.made:
        made = registry.make(engine.kind or name, name, engine.options)
        machine.made[name] = (made, made.info())
    return machine.made[name]


def _working(site: Site, machine: Machine) -> Iterator[tuple[str, Section, Engine, EngineInfo]]:
    """The engines that work; of the others `sockets` and `answers` tell."""
    for name, engine in _enabled(site):
        if not _listens(engine):
            continue
        try:
            yield name, engine, *_made(machine, name, engine)
        except EngineError:
            continue


def _severe(engine: Section, text: str, remedy: str) -> Seen:
    """Without a required engine no mail passes; without an advisory one its opinion is missing."""
    return error(text, remedy) if engine.role == "required" else warning(text, remedy)


def _listens(engine: Section) -> bool:
    written = engine.options.get("socket")
    return not isinstance(written, str) or not _unreached(written)


def _unreached(written: str) -> tuple[str, str] | None:
    """Why nobody answers at a socket and what to do, or None when somebody does."""
    place = parse_socket(written)
    try:
        _connect(place)
    except FileNotFoundError:
        return f"the socket {place} is missing", "start the engine's daemon, or correct socket in the site file"
    except ConnectionRefusedError:
        return f"nobody listens on {written}", "start the engine's daemon; a socket file can outlive it"
    except PermissionError:
        return f"the socket {place} may not be used", "add the user that runs Gatepost to the daemon's group"
    except socket.gaierror:
        return f"the host of {written} is not known", "write its address, or a name that resolves"
    except OSError as cause:
        return (
            f"{written} cannot be reached: {cause.strerror or cause}",
            "is the daemon running, and does the firewall let Gatepost reach it?",
        )
    return None


def _connect(place: Endpoint | str) -> None:
    if isinstance(place, Endpoint):
        socket.create_connection((place.host, place.port), 5).close()
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        probe.connect(str(Path(place)))
