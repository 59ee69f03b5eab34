"""Whatever the bytes, a field value has a plain reading whose every parameter is text that stands in it or follows from it, and names are never empty."""

from __future__ import annotations

from gatepost.mail.parse import names, value, words


def target(data: bytes) -> None:
    """Read the bytes as a Content-Type, as a parameter and as a name."""
    parsed = value.parse(data)

    assert all(isinstance(text, bytes) for text in parsed.parameters.values())
    assert parsed.token == parsed.token.lower()
    for key in (b"boundary", b"name"):
        assert all(isinstance(text, bytes) for text in value.candidates([data], key))
    assert all(names.of_fields([data], [b"attachment; filename=" + data], [data]))
    words.shown(data)
