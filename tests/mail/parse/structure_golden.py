"""Compare the plain reading with Python's `email`.

`python -m tests.mail.parse.structure_golden CORPUS > tests/mail/parse/structure.golden` prints each mail that differs, and why.
"""

from __future__ import annotations

import email
import hashlib
import re
import sys
from email.message import Message
from pathlib import Path

from gatepost.mail.parse import Entity
from gatepost.mail.parse.transfer import Encoding, decode
from tests.mail.parse.build import reading

Shape = tuple[str, str, tuple["Shape", ...]]
ENCODED = {Encoding.BASE64, Encoding.QUOTED}
OPENED = {"message/rfc822", "message/global", "message/news"}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ours(entity: Entity) -> Shape:
    """Type, digest of a leaf's content, children."""
    if entity.children:
        return entity.type, "", tuple(map(ours, entity.children))
    return entity.type, _digest(decode(entity.encoding, entity.buffer[slice(*entity.body)])[0]), ()


def theirs(message: Message) -> Shape:
    """The same of Python's tree; kinds of message that only Python takes apart are leaves whose content is not compared."""
    kind = message.get_content_type()
    payload = message.get_payload()
    if message.is_multipart() and isinstance(payload, list) and (kind in OPENED or kind.startswith("multipart/")):
        return kind, "", tuple(theirs(child) for child in payload if isinstance(child, Message))
    return kind, "" if message.is_multipart() else _digest(message.get_payload(decode=True) or b""), ()


def _flat(shape: Shape) -> list[Shape]:
    return [shape, *(below for child in shape[2] for below in _flat(child))]


def _kinds(shape: Shape) -> tuple[object, ...]:
    return shape[0], tuple(map(_kinds, shape[2]))


def _walk(entity: Entity) -> list[Entity]:
    return [entity, *(below for child in entity.children for below in _walk(child))]


def reason(raw: bytes) -> str:
    """Why the two readings of a mail differ, "" when they do not."""
    root = reading(raw).root
    mine, other = ours(root), theirs(email.message_from_bytes(raw))
    same = _kinds(mine) == _kinds(other)
    if same and all(left[1] == right[1] or not right[1] for left, right in zip(_flat(mine), _flat(other), strict=True)):
        return ""
    entities = _walk(root)
    encodings = {entity.encoding for entity in entities}
    taken_apart = any(kind not in OPENED and kind.startswith("message/") for kind, _, _ in _flat(other))
    causes = (
        (re.search(rb"\r(?!\n)", raw), "bare CR: Python takes it for a line end, the plain reading leaves that to the row line-ends"),
        (
            any(entity.children and entity.encoding in ENCODED for entity in entities),
            "encoded message or multipart: Python does not decode it",
        ),
        (not same and taken_apart, "message type that Python takes apart and we keep whole"),
        (not same, "structure: broken header or type, which Python replaces by text/plain or ends at the first line that is no field"),
        (Encoding.UU in encodings or b"uue" in raw.lower(), "uuencode"),
        (Encoding.BASE64 in encodings, "base64 that is not sound: other readings cover it"),
        (
            any(entity.type.startswith("multipart") and not entity.children for entity in entities),
            "multipart whose delimiters never occur: we keep its whole body as a leaf, Python drops what looks like a delimiter",
        ),
        (True, "content: the line end at the end of a part, or a header that Python ends at the first line that is no field"),
    )
    return next(words for holds, words in causes if holds)


def differences(corpus: Path) -> list[str]:
    """One line for each mail of the folder that differs: path and reason."""
    files = sorted(path for path in corpus.rglob("*") if path.is_file() and path.name != "SOURCES.md")
    return [f"{path.relative_to(corpus)}: {why}" for path in files if (why := reason(path.read_bytes()))]


if __name__ == "__main__":
    print("\n".join(differences(Path(sys.argv[1]))))
