"""A site's values as the lines of a TOML file, as `gatepost site show` and the console print them.

Not its job: reading (`load`).
Raises: nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def lines(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """The lines of a table: plain keys first, then its tables, then its arrays of tables."""
    for key, value in values.items():
        if not isinstance(value, dict) and not _is_tables(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in values.items():
        name = ".".join(_key(step) for step in (*path, key))
        if isinstance(value, dict):
            yield from _section(f"[{name}]", value, (*path, key))
        elif _is_tables(value):
            for one in value:
                yield from _section(f"[[{name}]]", one, (*path, key))


def _section(head: str, values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    yield from ("", head)
    yield from lines(values, path)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _key(key: str) -> str:
    return key if key.isascii() and key.replace("-", "").replace("_", "").isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)
