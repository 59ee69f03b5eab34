"""Mails out of files, folders, Maildirs, mailboxes and standard input.

What it does: yields each mail with a name that leads back to it; a mailbox's mails are counted, `box#3` is its third.
Not its job: reading the mails.
Raises: `OSError` when something named by the user cannot be read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_MBOX_FROM = re.compile(rb"(?:\A|\n\r?\n)From [^\r\n]*\d\d:\d\d[^\r\n]*\r?\n")
_FIRST_FROM = re.compile(rb"\A>?From [^\r\n]*\r?\n")


def find(paths: Iterable[str]) -> list[Path | None]:
    """All files that the paths name, sorted below each folder; None stands for standard input."""
    found: list[Path | None] = []
    for path in paths:
        if path == "-":
            found.append(None)
        elif Path(path).is_dir():
            found.extend(sorted(entry for entry in Path(path).rglob("*") if entry.is_file() and not _is_bookkeeping(entry)))
        else:
            found.append(Path(path))
    return found


def _is_bookkeeping(path: Path) -> bool:
    """A Maildir's own files, which are no mails."""
    return path.name.startswith((".", "dovecot", "maildirfolder")) or path.parent.name == "tmp"


def read(path: Path | None) -> Iterator[tuple[str, bytes]]:
    """The mails of one file, with their names."""
    content = sys.stdin.buffer.read() if path is None else path.read_bytes()
    name = "-" if path is None else str(path)
    mails = split(content)
    if len(mails) == 1:
        yield name, mails[0]
        return
    for number, mail in enumerate(mails, 1):
        yield f"{name}#{number}", mail


def split(content: bytes) -> list[bytes]:
    """One mail, or the mails of a mailbox in mbox form (RFC 4155), without their From lines and with quoted From lines restored."""
    starts = list(_MBOX_FROM.finditer(content)) if content.startswith(b"From ") else []
    if len(starts) < 2:  # noqa: PLR2004 a single mail may carry the From line of the mailbox it was in
        return [_FIRST_FROM.sub(b"", content, count=1)]
    ends = [*(match.start() + 1 for match in starts[1:]), len(content)]
    return [content[match.end() : end].replace(b"\n>From ", b"\nFrom ") for match, end in zip(starts, ends, strict=True)]
