"""Tar archives: V7, ustar, GNU and pax, in every reading of the sizes.

What it does: yields each file; where a pax header and the block itself state two sizes, what a reader of either would see.
Not its job: compression round it (`streams`).
Raises: `BudgetError`.

Readers that ignore a pax size step into the file's content and find other members there, so both ways are walked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gatepost.mail.model import Kind
from gatepost.mail.unpack.opened import Member, Opened

_BLOCK = 512
_LINKS = frozenset(b"12")
_NO_DATA = frozenset(b"123456")
_LONG_NAME, _PAX, _PAX_GLOBAL, _SPARSE = b"L", b"x", b"g", b"S"
_LONGEST_HEADER = 1 << 20


@dataclass(slots=True)
class _Ahead:
    """What extension headers said of the next file."""

    name: str = ""
    size: int | None = None
    sizes: set[int] = field(default_factory=set)


def read_tar(opened: Opened) -> Iterator[Member]:
    """Every file, first as pax says, then as the blocks alone say if that differs."""
    seen: set[int] = set()
    starts = [0]
    while starts:
        yield from _walk(opened, starts.pop(), seen, starts)
    if not seen:
        opened.find(Kind.UNCHECKED, "damaged", "the tar archive has no readable header")


def _walk(opened: Opened, at: int, seen: set[int], starts: list[int]) -> Iterator[Member]:
    """Every file from `at` on; where another reader would go on elsewhere is added to `starts`."""
    data, ahead = opened.body, _Ahead()
    while at + _BLOCK <= len(data):
        opened.budget.time(opened.part.path)
        block = bytes(data[at : at + _BLOCK])
        if at in seen or not _checks(block):
            at += _BLOCK
            continue
        seen.add(at)
        size, kind, start = _number(block[124:136]), block[156:157], at + _BLOCK
        if kind in {_LONG_NAME, _PAX, _PAX_GLOBAL, b"K"} and size <= _LONGEST_HEADER:
            _extension(kind, bytes(data[start : start + size]), ahead)
            at = start + _padded(size)
            continue
        if kind == _SPARSE:
            opened.find(Kind.UNCHECKED, "tar-sparse", "a sparse file in a tar archive is not expanded; ask for a plain one")
        yield from _file(opened, block, start, size, ahead)
        if ahead.size is not None and ahead.size != size and block[156] not in _NO_DATA:
            opened.find(Kind.AMBIGUOUS, "tar-sizes-differ", "a file in a tar archive has two sizes")
            starts.append(start + _padded(size))
        at = start + (0 if block[156] in _NO_DATA else _padded(size if ahead.size is None else ahead.size))
        ahead = _Ahead()


def _file(opened: Opened, block: bytes, start: int, size: int, ahead: _Ahead) -> Iterator[Member]:
    data = opened.body
    name = ahead.name or _name(block)
    for number, length in enumerate(dict.fromkeys((size if ahead.size is None else ahead.size, size))):
        body = data[start : start + length]
        if len(body) < length and block[156] not in _NO_DATA:
            opened.find(Kind.UNCHECKED, "tar-truncated", f"'{name}' in a tar archive is cut off")
        if length and block[156] not in b"12346":
            opened.meter.spend(len(body))
            yield Member(name, body, "tar-sizes-differ" if number else "", _other_names(block, name))


def _other_names(block: bytes, name: str) -> tuple[str, ...]:
    """The name in the block itself, which a reader without extensions sees; not if it is just the long name cut to fit (100 bytes)."""
    plain = _name(block)
    cut = bool(block[99]) and name.startswith(plain)
    return () if cut or plain == name else (plain,)


def _checks(block: bytes) -> bool:
    """Whether the check sum fits, counted with unsigned or signed bytes."""
    if not block.strip(b"\0"):
        return False
    try:
        stated = int(block[148:156].strip(b" \0") or b"0", 8)
    except ValueError:
        return False
    plain = sum(block[:148]) + 256 + sum(block[156:])
    return stated in {plain, plain - 256 * sum(1 for byte in block[:148] + block[156:] if byte > 127)}  # noqa: PLR2004


def _number(text: bytes) -> int:
    """An octal number, or a GNU base-256 one."""
    if text[0] & 0x80:
        return int.from_bytes(bytes((text[0] & 0x7F,)) + text[1:], "big")
    try:
        return int(text.split(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        return 0


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _name(block: bytes) -> str:
    name = block[:100].split(b"\0")[0]
    prefix = block[345:500].split(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _extension(kind: bytes, body: bytes, ahead: _Ahead) -> None:
    if kind == _LONG_NAME:
        ahead.name = body.split(b"\0")[0].decode("utf-8", "replace")
    elif kind in {_PAX, _PAX_GLOBAL}:
        for key, value in _pax(body):
            if key in {b"path", b"GNU.sparse.name"}:
                ahead.name = value.decode("utf-8", "replace")
            elif key == b"size" and value.isdigit() and len(value) < 20:  # noqa: PLR2004
                ahead.size = int(value)


def _pax(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    r"""Records of the form "LENGTH KEY=VALUE\n" (POSIX pax, extended header)."""
    while body:
        head, _, _ = body.partition(b" ")
        if not head.isdigit() or not 0 < int(head) <= len(body):
            return
        record, body = body[len(head) + 1 : int(head) - 1], body[int(head) :]
        key, _, value = record.partition(b"=")
        yield key, value
