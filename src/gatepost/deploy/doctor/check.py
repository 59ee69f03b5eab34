"""What a check of the doctor is, and what it may ask of the machine.

What it does: names the values that all checks share, and runs a list of checks.
Not its job: the checks (the other files of this room), showing the result (`gatepost.cli.doctor`).
Raises: nothing; a check that cannot look says so, and that counts as an error.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from gatepost.mail.inspect.engine import Engine, EngineInfo
from gatepost.site.model import Site


class Severity(StrEnum):
    """How bad it is: an ERROR keeps mail from being scanned or delivered, a WARNING will, or weakens something."""

    WELL = "well"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check saw; `remedy` is what to do, "" when all is well."""

    severity: Severity
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was seen, under the name of the check that saw it."""

    check: str
    severity: Severity
    seen: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Running:
    """The gateway as it answers: whether all is well, in one sentence, and the process of its keeper."""

    well: bool
    sentence: str
    keeper: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What checks ask of the machine, so that tests can answer.

    `gateway` is None when no gateway answers, `now` seconds since the epoch, `jail` the layers that a scan worker's jail would lack,
    `postfix` gives a parameter of Postfix's configuration by name ("" for one that is not set) and is None without Postfix. `synchronised` says
    whether the kernel follows a time server (None: it cannot say), `resolv` names the name servers, `site_file` is where the site was read.
    `made` is where checks leave the engines that work, for the checks after them.
    """

    gateway: Running | None = None
    now: Callable[[], float] = time.time
    which: Callable[[str], str | None] = shutil.which
    jail: Callable[[], tuple[str, ...]] = tuple
    postfix: Mapping[str, str] | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    proc: Path = Path("/proc")
    synchronised: Callable[[], bool | None] = lambda: None
    resolv: Path = Path("/etc/resolv.conf")
    site_file: Path | None = None
    made: dict[str, tuple[Engine, EngineInfo]] = field(default_factory=dict)


Look = Callable[[Site, Machine], Iterable[Seen]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, what it looks at (one sentence for `docs/doctor.md`), and the look itself, which may raise OSError."""

    name: str
    about: str
    look: Look


def well(text: str) -> Seen:
    """All is well."""
    return Seen(Severity.WELL, text)


def warning(text: str, remedy: str) -> Seen:
    """Mail is scanned, but this should not be so."""
    return Seen(Severity.WARNING, text, remedy)


def error(text: str, remedy: str) -> Seen:
    """Mail is not scanned, or not delivered, because of it."""
    return Seen(Severity.ERROR, text, remedy)


def examine(checks: Iterable[Check], site: Site, machine: Machine) -> Iterator[Diagnosis]:
    """Make every check, in order."""
    for check in checks:
        for seen in _looked(check, site, machine):
            yield Diagnosis(check.name, seen.severity, seen.text, seen.remedy)


def _looked(check: Check, site: Site, machine: Machine) -> tuple[Seen, ...]:
    try:
        return tuple(check.look(site, machine))
    except OSError as cause:
        where = f"{cause.filename}: " if cause.filename else ""
        return (error(f"this could not be looked at: {where}{cause.strerror or cause}", "run gatepost doctor as root"),)


def status(diagnoses: Iterable[Diagnosis]) -> int:
    """The exit status: 0 all well, 1 warnings, 2 something keeps mail from being scanned or delivered."""
    order = list(Severity)
    return max((order.index(diagnosis.severity) for diagnosis in diagnoses), default=0)
