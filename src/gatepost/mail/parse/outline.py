"""A mail without its large attachments: what is left of it where they are parts of their own.

What it does: cuts the middle out of each large body that is soundly encoded in base64, line by line, and names the parts that hold it.
Not its job: deciding who may be given the outline in place of the mail (the engines).
Raises: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.mail.budget import KIB
from gatepost.mail.model import Outline
from gatepost.mail.parse.structure import Entity
from gatepost.mail.parse.transfer import Encoding

LARGE = 16 * KIB
"""Encoded bodies below this size (bytes) stay whole."""

EDGE = 1 * KIB
"""So much stays of a body at its start, and as much at its end."""


def outline(root: Entity) -> Outline | None:
    """The outline of a mail by its plain reading; None when nothing can be cut."""
    buffer, kept, position = root.buffer, [], 0
    cut = []
    for entity in _leaves(root):
        start, end = entity.body
        if entity.encoding is not Encoding.BASE64 or entity.buffer is not buffer or end - start < LARGE:
            continue
        first, last = buffer.find(b"\n", start + EDGE, end) + 1, buffer.rfind(b"\n", start, end - EDGE) + 1
        if 0 < first < last:
            kept.append(buffer[position:first])
            position = last
            cut.append(entity.path or "1")
    return Outline(b"".join((*kept, buffer[position:])), frozenset(cut)) if cut else None


def _leaves(entity: Entity) -> Iterator[Entity]:
    """The leaves of a tree in the order of the mail."""
    if not entity.children:
        yield entity
    for child in entity.children:
        yield from _leaves(child)
