"""What a room wants to be on the machine: files, and what to run when they changed.

Not its job: comparing with the machine, writing (`gatepost.deploy`).
Raises: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STAGED = "{staged}"
"""Stands in a check's arguments for the folder under which the new files lie at their full paths before they are put in place."""


@dataclass(frozen=True, slots=True)
class Activation:
    """How a daemon takes up new files: programs that look at the staged files first, and programs to run when all are in place.

    A check passes with exit status 0 and nothing on standard error: some daemons only warn of what stops mail.
    """

    name: str
    checks: tuple[tuple[str, ...], ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    interrupts: str = ""
    """What is interrupted meanwhile, in a sentence for the administrator."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file as it shall be. `path` is full; `mode` in octal as for chmod."""

    path: Path
    content: bytes
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    activation: Activation | None = None
