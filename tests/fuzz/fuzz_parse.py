"""Whatever the bytes, `read` returns: at least one part or a finding, spans inside their buffers, plain only without findings."""

from __future__ import annotations

import time

from gatepost.mail.budget import Budget, Limits
from gatepost.mail.parse import Entity, read


def _check(entity: Entity) -> None:
    size = len(entity.buffer)
    assert 0 <= entity.header[0] <= entity.header[1] <= entity.body[0] <= entity.body[1] <= size
    for child in entity.children:
        _check(child)


def target(data: bytes) -> None:
    """Read the bytes as a mail."""
    result = read(data, Budget(Limits(), time.process_time, time.monotonic))

    assert result.parts or result.findings
    assert not (result.plain and result.findings)
    assert result.headers.subject is not None
    _check(result.root)
