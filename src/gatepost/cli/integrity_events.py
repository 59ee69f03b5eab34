"""What `gatepost integrity` tells the journal, through the keeper: reports, alarms, live changes.

A host without a site file has no journal, and a host without a gateway nobody who writes it: then the report and the exit status say all.
Raises: nothing of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from gatepost.cli.common import moment, note
from gatepost.integrity.accept import AcceptError
from gatepost.integrity.chain import ChainError
from gatepost.integrity.notify import Emit, sentence
from gatepost.services.messages import Note
from gatepost.services.noting import Noting
from gatepost.site.load import load
from gatepost.site.model import Site

DEFAULT_SITE = Path("/etc/gatepost/site.toml")


def _site(file: Path | None) -> Site | None:
    return load(file or DEFAULT_SITE) if file or DEFAULT_SITE.exists() else None


def journal_of(file: Path | None) -> Emit:
    """Somebody who has events written, each at once. Raises SiteError."""
    site = _site(file)
    return lambda kind, subject, data: note(site, Note(kind, subject, dict(data))) if site else None


@contextlib.contextmanager
def keeping(file: Path | None) -> Iterator[Emit]:
    """Somebody who takes events without waiting and has them written when the keeper can. Raises SiteError."""
    site = _site(file)
    if site is None:
        yield lambda _kind, _subject, _data: None
        return
    noting = Noting(Path(site.site.run) / "keeper.sock")
    try:
        yield noting.tell
    finally:
        noting.close()


@contextlib.contextmanager
def told_problems(emit: Emit, report: str) -> Iterator[list[str]]:
    """What is wrong with a report becomes an alarm: the problems that are put into the list, or the error by which the look ends."""
    problems: list[str] = []
    try:
        yield problems
    except (AcceptError, ChainError, OSError) as error:
        problems.append(str(error))
        raise
    finally:
        if problems:
            emit("integrity.untrusted", report, {"text": "; ".join(problems)})


def said(kind: str, subject: str, data: Mapping[str, object]) -> str:
    """An event as a line on the terminal."""
    return f"{moment(time.time())}  {sentence(kind, subject, data)}"
