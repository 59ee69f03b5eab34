"""Texts whose letters stand apart: UTF-16 with or without a mark, and texts with NULs strewn in, which browsers pass over.

What it does: gives such a text again in UTF-8, because patterns look for ASCII.
Not its job: other charsets (`parse.charset` knows what a mail declares).
Raises: nothing.
"""

from __future__ import annotations

_HEAD = 400
_MOSTLY = 0.9


def narrow(text: bytes) -> bytes:
    """UTF-16, with a mark or by its zeros, as UTF-8; all else stays."""
    head = text[:_HEAD]
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return text.decode("utf-16", "replace").encode("utf-8", "replace")
    if b"\0" not in text:
        return text
    for first, charset in ((0, "utf-16-le"), (1, "utf-16-be")):
        letters, zeros = head[first::2], head[1 - first :: 2]
        if zeros and zeros.count(0) > _MOSTLY * len(zeros) and not letters.count(0):
            return text.decode(charset, "replace").encode("utf-8", "replace")
    return text


def bare(text: bytes) -> bytes:
    """The same without the NULs that are left."""
    return narrow(text).replace(b"\0", b"")
