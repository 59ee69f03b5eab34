"""Making a baseline and putting it in force; opening the one in force.

The way: compile the policy, plant the canary, describe the tree by several workers, join their segments, sign, replace the file, write the
ledger. Without the signing key on this host the baseline waits as `baseline.pending` for `seal`.
Raises: `PolicyError`, `BaselineError`, `ScanError`, `ChainError`, `OSError`.
"""

from __future__ import annotations

import os
import platform
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from gatepost.integrity import canary as canaries
from gatepost.integrity import scan, store
from gatepost.integrity.compile import Compiled, compile_policy
from gatepost.integrity.dpkg import Dpkg
from gatepost.integrity.ledger import Act, Ledger, Record
from gatepost.integrity.mounts import read_mounts
from gatepost.integrity.sign import Signer
from gatepost.integrity.state import State
from gatepost.integrity.store import Baseline, BaselineError, Manifest
from gatepost.site.integrity import Integrity
from gatepost.system import files


@dataclass(frozen=True)
class Watched:
    """A host as this room sees it: the declared section, the tree at `root`, and where to remember."""

    section: Integrity
    state: State
    root: Path = Path("/")
    host: str = platform.node()

    @property
    def canary(self) -> Path:
        """The real place of the canary file."""
        return self.root / self.section.canary.lstrip("/")

    def own_folders(self) -> tuple[str, ...]:
        """Our state, if it lies in the tree that is watched: it changes with each run and is protected by its own signatures."""
        try:
            inside = self.state.folder.resolve().relative_to(self.root.resolve())
        except ValueError:
            return ()
        return (f"/{inside}",)


@dataclass(frozen=True)
class Made:
    """A new baseline: its digest, what was described, the paths of the policy that do not exist, and whether it is in force already."""

    digest: str
    tally: scan.Tally
    missing: tuple[bytes, ...]
    in_force: bool


def plant(watched: Watched, nonce: str) -> str:
    """Write the canary; the nonce that it had before."""
    path = watched.canary
    former = canaries.nonce_of(path.read_bytes()) if path.exists() else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(path, canaries.content(nonce), 0o644)
    return former


def make_baseline(watched: Watched, who: str, why: str, signer: Signer | None, progress: scan.Progress) -> Made:
    """Describe the tree and, with a `signer`, put the result in force."""
    state = watched.state
    state.prepare()
    compiled = compile_policy(watched.section, watched.root, watched.own_folders())
    with state.locked():
        ledger = state.ledger()
        plant(watched, secrets.token_hex(16))
        state.clear_run()
        files.make_directory(state.run)
        bounds = scan.shallow_bounds(watched.root, compiled.policy)
        scope = scan.Scope(watched.root, compiled.policy, read_mounts(watched.root), state.run, scan.cut(bounds))
        tally, segments = scan.collect(scope, watched.section.workers, progress)
        digest = _write(watched, compiled, tally, segments, ledger, signer)
        state.clear_run()
        if signer is not None:
            _put_in_force(state, digest, who, why, signer)
    return Made(digest, tally, compiled.missing, signer is not None)


def seal_pending(state: State, signer: Signer, who: str, why: str) -> str:
    """Sign the baseline that waits, and put it in force; its digest."""
    with state.locked():
        store.seal(state.pending, signer.sign(store.request(state.pending)))
        digest = Baseline(state.pending, state.baseline_keys()).digest
        _put_in_force(state, digest, who, why, signer)
    return digest


def open_in_force(state: State, ledger: Ledger | None) -> Baseline:
    """The baseline in force. Raises BaselineError for any other, however well it is signed."""
    baseline = Baseline(state.baseline, state.baseline_keys())
    if ledger is not None and baseline.digest != ledger.baseline:
        made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(baseline.manifest.made))
        raise BaselineError(
            f"the baseline was swapped: {state.baseline} was made on {made} and is signed, but the ledger says that "
            f"{ledger.baseline[:12] or 'none'} is in force, not {baseline.digest[:12]}"
        )
    return baseline


def _write(
    watched: Watched,
    compiled: Compiled,
    tally: scan.Tally,
    segments: list[tuple[Path, list[store.Block]]],
    ledger: Ledger,
    signer: Signer | None,
) -> str:
    dpkg = Dpkg(watched.root)
    with watched.state.pending.open("wb") as out:
        index = store.pack_index(store.assemble(out, segments))
        manifest = Manifest(
            watched.host,
            time.time(),
            compiled.policy,
            compiled.declared,
            tally.entries,
            tally.bytes,
            store.index_digest(index),
            dpkg.versions,
            {package: dpkg.marks(package) for package in dpkg.versions},
            compiled.missing,
            ledger.baseline,
        )
        digest = store.finish(out, index, manifest, signer)
        out.flush()
        os.fsync(out.fileno())
    if signer is not None:
        Baseline(watched.state.pending, watched.state.baseline_keys()).close()
    return digest


def _put_in_force(state: State, digest: str, who: str, why: str, signer: Signer) -> None:
    """The ledger first: a crash in between leaves a loud mismatch, never a baseline that nobody put in force."""
    state.add(Record(0, time.time(), Act.BASELINE, who, why, baseline=digest), signer)
    state.pending.replace(state.baseline)
    files.sync_directory(state.folder)
