"""Keys that belong to this machine: made once, readable by nobody else.

What it does: reads a key file, or makes it where its folder has never had one.
Not its job: what the key is for.
Raises: `SecretError` with a remedy, `OSError` when the disk fails.
"""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

from gatepost.system.files import make_directory, read, write_atomic

SIZE = 32


class SecretError(Exception):
    """A key cannot be used."""


def secret(path: Path) -> bytes:
    """The 32 bytes of the key at `path`; made on first use."""
    if not path.exists():
        make_directory(path.parent)
        write_atomic(path, secrets.token_bytes(SIZE))
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretError(f"others may read the key {path} (mode {mode:04o}); run chmod 600 {path}, and think about making a new one")
    key = read(path)
    if len(key) != SIZE:
        raise SecretError(f"the key {path} has {len(key)} bytes instead of {SIZE}; restore it from a backup")
    return key
