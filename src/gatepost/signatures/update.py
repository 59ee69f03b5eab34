"""One update of one set: fetch, prove, compare, try, and only then swap.

Not its job: what a trial is (the caller hands it in: `gatepost.mail.inspect.certify` behind it), telling the gateway.
Raises: `RefusedError` for a set that is not taken, `OSError` when the disk fails; the set in use stays either way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gatepost.signatures.fetch import fetch
from gatepost.signatures.manifest import RefusedError
from gatepost.signatures.store import Store, Stored
from gatepost.site.signatures import SignatureSet

OLD, STALE = 24 * 3600.0, 48 * 3600.0
"""Seconds after which signatures are old, and after which nobody updates them any more."""

OLD_SIGNATURES = "signatures.old"
"""Kind of the journal's event when signatures have crossed one of these ages."""

SHRINK = 2
"""A set that has shrunk to less than this part of the one in use is taken for damaged."""

Trial = Callable[[Path], str]
"""Tries the set in a folder beside the one in use: what is wrong with it, "" when it may be used."""


def update(store: Store, source: SignatureSet, trial: Trial) -> Stored | None:
    """Take over what lies at the source; None when the set in use is that already."""
    manifest, files = fetch(source)
    with store.locked():
        current = store.current()
        if current and current.version == manifest.version:
            return None
        if known := next((one for one in store.sets() if one.version == manifest.version), None):
            return _again(store, known)
        if manifest.version < store.highest():
            raise RefusedError(f"version {manifest.version} is older than version {store.highest()}, which was here already")
        _check_size(sum(map(len, files.values())), store.current_path)
        with store.staged(manifest, files) as staged:
            if wrong := trial(staged):
                raise RefusedError(wrong)
            return store.take(staged)


def _again(store: Store, known: Stored) -> Stored:
    """A set that was tried and put here, but is not in use: withdrawn, or we were killed before the last step."""
    if known.withdrawn or known.version < store.highest():
        raise RefusedError(f"version {known.version} was withdrawn here; the next one will be taken")
    store.use(known)
    return known


def _check_size(size: int, current: Path) -> None:
    if not size:
        raise RefusedError("the set is empty")
    if current.exists() and size * SHRINK < _size(current):
        raise RefusedError(f"the set has shrunk to {size} bytes, less than half of the one in use")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if not path.name.startswith("."))


def age(stored: Stored, now: float) -> float:
    """Seconds since the set was made, or since it was taken over where its maker does not say."""
    return now - (stored.made or stored.taken)
