"""Formats that a program opens for us: disk images, WIM, CHM, DMG, ARJ and whatever else 7-Zip knows; LZO by lzop.

What it does: hands the bytes to a child by descriptor, without a file on disk, and cuts what it prints into members.
Not its job: limits of the child (`system.children`).
Raises: `BudgetError`. A missing program, or one that fails, is an UNCHECKED finding with the remedy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gatepost.mail.model import Kind
from gatepost.mail.unpack.opened import Member, Opened, Reader
from gatepost.mail.unpack.streams import inner_name
from gatepost.system import children

_LIST_MOST = 16 << 20
_PASSWORDS_MOST = 12
_LEAST_SECONDS = 0.5
_enabled = True


def switch(*, on: bool) -> None:
    """Allow or forbid programs in this process; forbidden ones count as missing."""
    global _enabled  # noqa: PLW0603 - one switch for one process, set when a worker starts
    _enabled = on


@dataclass(frozen=True, slots=True)
class _File:
    """A file that 7-Zip lists; `size` -1 when it does not say; `checked` when a check sum shows whether a password was right."""

    name: str
    size: int
    encrypted: bool
    checked: bool


def seven_zip(kind: str = "") -> Reader:
    """A reader by 7-Zip; `kind` is its name of the format, "" lets it look itself."""

    def read(opened: Opened) -> Iterator[Member]:
        return _seven_zip(opened, kind)

    return read


def read_lzop(opened: Opened) -> Iterator[Member]:
    """A file of lzop."""
    result = _run(opened, ["lzop", "-dc"], stdin=bytes(opened.body))
    if result is None:
        return
    opened.meter.spend(len(result.stdout))
    if result.status:
        opened.find(Kind.UNCHECKED, "damaged", "lzop could not decompress all of it")
    if result.stdout:
        yield Member(inner_name(opened), result.stdout)


def _run(
    opened: Opened, command: list[str], *, stdin: bytes = b"", descriptors: tuple[int, ...] = (), output: int = 0
) -> children.Outcome | None:
    """Run a program within what is left of the budget; None after a finding."""
    opened.budget.time(opened.part.path)
    limits = opened.budget.limits
    room = output or max(0, limits.bytes - opened.budget.bytes) + 1
    bounds = children.Bounds(wall=max(opened.budget.left(), _LEAST_SECONDS), cpu=max(1, round(limits.cpu)), output=room)
    result = (
        children.run(command, bounds, stdin=stdin, descriptors=descriptors)
        if _enabled
        else children.Outcome(126, b"", b"", "programs are switched off")
    )
    if result.failure:
        name = opened.part.type
        opened.find(
            Kind.UNCHECKED,
            f"program-{command[0]}",
            f"a {name} file needs {command[0]} to be opened, and {result.failure}; install or allow it",
        )
        return None
    return result


def _seven_zip(opened: Opened, kind: str) -> Iterator[Member]:
    descriptor = os.memfd_create("gatepost-unpack", os.MFD_CLOEXEC)
    try:
        view = opened.body
        while view:
            view = view[os.write(descriptor, view) :]
        yield from _listed(opened, f"/proc/self/fd/{descriptor}", [f"-t{kind}"] if kind else [], descriptor)
    finally:
        os.close(descriptor)


def _listed(opened: Opened, path: str, kind: list[str], descriptor: int) -> Iterator[Member]:
    """List, then unpack; names may be encrypted too, so the list is tried with every password."""
    listing = None
    for password in ("-", *opened.passwords[:_PASSWORDS_MOST]):
        listing = _run(
            opened, ["7z", "l", "-slt", "-ba", "-sccUTF-8", f"-p{password}", *kind, path], descriptors=(descriptor,), output=_LIST_MOST
        )
        if listing is None:
            return
        if not listing.status or not _about_password(listing):
            break
    assert listing is not None
    files = _files(listing.stdout)
    if listing.status and not files:
        _refused(opened, listing)
        return
    yield from _contents(opened, path, kind, descriptor, files)


def _contents(opened: Opened, path: str, kind: list[str], descriptor: int, files: list[_File]) -> Iterator[Member]:
    """All files in one run, cut by the sizes listed; where the sizes do not add up, one member holds all."""
    locked = any(file.encrypted for file in files)
    result = None
    for password in opened.passwords[:_PASSWORDS_MOST] if locked else ("-",):
        result = _run(opened, ["7z", "x", "-so", "-bd", f"-p{password}", *kind, path], descriptors=(descriptor,))
        if result is None:
            return
        if not result.status:
            break
    if locked and (result is None or result.status or not all(file.checked for file in files if file.encrypted)):
        opened.find(Kind.ENCRYPTED, "archive-encrypted", "encrypted, and no password in the mail opens it")
        return
    assert result is not None
    if result.status:
        _refused(opened, result)
    opened.meter.spend(len(result.stdout))
    out = memoryview(result.stdout)
    if sum(file.size for file in files) != len(out) or any(file.size < 0 for file in files):
        if out:
            yield Member(files[0].name if len(files) == 1 else "contents", out)
        return
    for file in files:
        yield Member(file.name, out[: file.size])
        out = out[file.size :]


def _said(result: children.Outcome) -> str:
    return (result.stderr + result.stdout[-2000:]).decode("utf-8", "replace")


def _about_password(result: children.Outcome) -> bool:
    text = _said(result).lower()
    return "password" in text or "encrypted" in text


def _refused(opened: Opened, result: children.Outcome) -> None:
    if _about_password(result):
        opened.find(Kind.ENCRYPTED, "archive-encrypted", "encrypted, and no password in the mail opens it")
        return
    text = _said(result)
    reason = next((line for line in text.splitlines() if "ERROR" in line or "Error" in line), "it is damaged or of an unknown form")
    opened.find(Kind.UNCHECKED, "archive-damaged", f"7-Zip could not open all of it: {reason.strip()}")


_FIELD = re.compile(rb"^(Path|Size|Folder|Encrypted|Attributes|CRC) = ?(.*)$", re.MULTILINE)


def _files(listing: bytes) -> list[_File]:
    """The files of a listing by `7z l -slt`; folders left out."""
    found = []
    for block in listing.replace(b"\r", b"").split(b"\n\n"):
        row = dict(_FIELD.findall(block))
        if b"Path" not in row or row.get(b"Folder") == b"+" or row.get(b"Attributes", b"").startswith(b"D"):
            continue
        size = row.get(b"Size", b"")
        found.append(
            _File(
                row[b"Path"].decode("utf-8", "replace"),
                int(size) if size.isdigit() else -1,
                row.get(b"Encrypted") == b"+",
                bool(row.get(b"CRC")),
            )
        )
    return found
