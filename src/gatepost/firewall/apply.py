"""Putting a policy into force, so that no mistake and no crash leaves the network open or the administrator outside.

What it does: compile, check, prove, load in one transaction, prove again what the kernel lists, end forbidden connections, switch forwarding
on; and, unless the change is confirmed from a new connection in time, go back. A detached process does the going back, so that it
happens although the session that applied is gone.
Not its job: any of the single steps.
Raises: `ApplyError` when a change is not made or is taken back; `NftError` from nft.

State, in one folder: what was confirmed (`confirmed`), `candidate.nft`, `previous.nft`, `switches.json` (the kernel switches as they
were before), and `pending.json` while a change waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatepost.firewall import nft
from gatepost.firewall.compile import BASE, TABLE, compile_policy, reload_text
from gatepost.firewall.confirmed import RULES, keep, kept_policy, kept_site, today
from gatepost.firewall.connections import Connection, end_forbidden
from gatepost.firewall.declare import Policy
from gatepost.firewall.harden import FORWARDING
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import Outcome, Proof, prove
from gatepost.firewall.telling import proof_text
from gatepost.system.files import make_directory, read, remove, write_atomic


class ApplyError(Exception):
    """The change was not made, or was taken back."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where rules are applied: the folder for what must be remembered, and the namespace ("" is this host)."""

    state: Path
    namespace: str = ""

    def file(self, name: str) -> Path:
        """A file in the folder."""
        return self.state / name


@dataclass(slots=True)
class Applied:
    """What was done: the proof of what is loaded, the connections that were ended, and until when it must be confirmed.

    `switches` tells, as sentences, which kernel switches could not be set as they should be.
    """

    proof: Proof
    ended: list[Connection] = field(default_factory=list)
    deadline: float = 0.0
    switches: list[str] = field(default_factory=list)


GUARD = (sys.executable, "-m", "gatepost.firewall.guard")
"""What waits for the confirmation, as a command; the folder of the state is its last argument."""


def apply(policy: Policy, place: Place, session: str, guard: Sequence[str] = GUARD, site: str = "") -> Applied:
    """Put a policy into force. `session` tells this login from a later one (SSH_CONNECTION, or "console").

    `site` is the text that declares the policy; with it a boot needs no site file, and permissions end by themselves.
    """
    make_directory(place.state)
    if pending(place):
        raise ApplyError("a change still waits to be confirmed; confirm it, or wait until it has been taken back")
    compiled = compile_policy(policy)
    proved(policy, nft.rehearse(reload_text(compiled, ())), "before loading; nothing was changed")
    before = nft.listing(place.namespace)
    write_atomic(place.file("candidate.nft"), reload_text(compiled, ()).encode())
    write_atomic(place.file("previous.nft"), _way_back(before, place.namespace).encode())
    write_atomic(place.file("switches.json"), json.dumps(_switches(place, "read")).encode())
    deadline = time.time() + policy.settings.confirm
    waiting = {"deadline": deadline, "session": session, "namespace": place.namespace, "site": site}
    write_atomic(place.file("pending.json"), json.dumps(waiting).encode())
    _guard(place, guard)
    nft.load(reload_text(compiled, nft.objects(before, TABLE)), place.namespace)
    try:
        proof = proved(policy, nft.listing(place.namespace), "after loading; the change was taken back")
    except ApplyError:
        roll_back(place)
        raise
    left = _switches(place, "set")
    forward(place, on=True)
    return Applied(proof, end_forbidden(policy, place.namespace), deadline, left)


def proved(policy: Policy, listing: str, when: str) -> Proof:
    """The proof of a listing; ApplyError when there is none, with `when` that was."""
    proof = prove(policy, read_nft(listing))
    if proof.outcome is not Outcome.PROVED:
        raise ApplyError(f"the rules could not be proved {when}\n{proof_text(proof)}")
    return proof


def _way_back(listing: str, namespace: str) -> str:
    """A text that puts the present rules back in one transaction; without our table there was nothing, so nothing is left."""
    if f'"name": "{TABLE}"' not in listing:
        return f"table inet {TABLE}\ndelete table inet {TABLE}\n"
    return BASE + f"flush table inet {TABLE}\n" + nft.table_text(TABLE, namespace)


def pending(place: Place) -> dict[str, object] | None:
    """The change that waits to be confirmed."""
    try:
        found: dict[str, object] = json.loads(read(place.file("pending.json")))
    except FileNotFoundError:
        return None
    return found


def confirm(place: Place, session: str) -> None:
    """Keep the change. The confirmation must come over a connection that began under the new rules."""
    waiting = pending(place)
    if waiting is None:
        raise ApplyError("nothing waits to be confirmed")
    if session == waiting["session"] and session != "console":
        raise ApplyError("this is the session that applied the change, which proves nothing; log in anew and confirm from there")
    keep(place.state, read(place.file("candidate.nft")), str(waiting.get("site", "")))
    remove(place.file("pending.json"))


def roll_back(place: Place) -> None:
    """Put back what was loaded before, and forget the change."""
    listing = nft.listing(place.namespace)
    text = read(place.file("previous.nft")).decode()
    if "flush table" in text:
        gone = [
            f"delete {kind} inet {TABLE} {name}" for kind, name in sorted(nft.objects(listing, TABLE), key=lambda item: item[0] != "map")
        ]
        text = text.replace(f"flush table inet {TABLE}\n", "\n".join([f"flush table inet {TABLE}", *gone, ""]), 1)
    nft.load(text, place.namespace)
    with contextlib.suppress(FileNotFoundError):
        _switches(place, "restore", read(place.file("switches.json")).decode())
    remove(place.file("pending.json"))


def _guard(place: Place, command: Sequence[str]) -> None:
    """Start the process that takes the change back; it has no terminal and no parent that could take it along."""
    subprocess.Popen(
        [*command, str(place.state)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        close_fds=True,
    )


def boot(policy: Policy | None, place: Place) -> Applied:
    """Before the network comes up: nothing passes; then the last confirmed rules, and forwarding only once they are proved.

    They are proved against the site file's `policy` (None: it cannot be read), or else against what was declared when they were confirmed.
    """
    forward(place, on=False)
    nft.load(BASE, place.namespace)
    place.file("pending.json").unlink(missing_ok=True)
    try:
        proof = _confirmed(policy, place)
    except BaseException:
        nft.load(BASE + f"flush table inet {TABLE}\n", place.namespace)
        raise
    left = _switches(place, "set")
    forward(place, on=True)
    return Applied(proof, switches=left)


def _confirmed(policy: Policy | None, place: Place) -> Proof:
    """Load the confirmed rules; where they are not what the site file declares today, compile what was declared when they were confirmed."""
    when = "at boot; nothing passes until that is mended"
    nft.load(read(place.file(RULES)).decode(), place.namespace)
    site = kept_site(place.state)
    if policy is not None:
        try:
            return proved(policy, nft.listing(place.namespace), when)
        except ApplyError:
            if not site:
                raise
    elif not site:
        raise ApplyError(f"the site file cannot be read, and nobody knows what the confirmed rules were to mean {when}")
    then = kept_policy(site, today())
    nft.load(reload_text(compile_policy(then), nft.objects(nft.listing(place.namespace), TABLE)), place.namespace)
    return proved(then, nft.listing(place.namespace), when)


def _switches(place: Place, do: str, values: str = "") -> Any:
    """Read, set or restore the kernel switches of the place."""
    command = [*nft.inside(place.namespace), sys.executable, "-m", "gatepost.firewall.switches", do]
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ApplyError(f"the kernel switches could not be {do}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def forward(place: Place, *, on: bool) -> None:
    """Switch forwarding for both IP versions."""
    values = [f"{name}={int(on)}" for name in FORWARDING]
    done = subprocess.run([*nft.inside(place.namespace), "sysctl", "-qw", *values], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ApplyError(f"forwarding could not be switched {'on' if on else 'off'}: {done.stderr.strip()}")


def session_name() -> str:
    """What tells this login from another one."""
    return os.environ.get("SSH_CONNECTION", "console")
