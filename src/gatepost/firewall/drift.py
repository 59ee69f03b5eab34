"""Whether what is loaded is still what was proved.

What it does: makes a fingerprint of a listing without what changes by itself (counters, handles, sets that fill), so that a look costs
little; only a new fingerprint is proved again.
Not its job: asking the kernel, waiting (`gatepost firewall watch`).
Raises: nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from gatepost.firewall.declare import Policy
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import Outcome, Proof, prove

_RESTLESS = {"handle", "packets", "bytes"}


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the loaded rules: the fingerprint, and a proof where it was new."""

    fingerprint: str
    proof: Proof | None

    @property
    def drifted(self) -> bool:
        """Whether the rules have become others than the proved ones."""
        return self.proof is not None and self.proof.outcome is not Outcome.PROVED


def look(policy: Policy, listing: str, last: str = "") -> Look:
    """Compare a listing with the fingerprint of the last look, and prove it when it is new."""
    mark = fingerprint(listing)
    return Look(mark, None if mark == last else prove(policy, read_nft(listing)))


def fingerprint(listing: str) -> str:
    """The same for two listings of the same rules."""
    items = [_quiet(item) for item in json.loads(listing)["nftables"]]
    return hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()


def _quiet(node: Any) -> Any:
    if isinstance(node, list):
        return [_quiet(item) for item in node]
    if not isinstance(node, dict):
        return node
    fills = "size" in node or "timeout" in node
    return {key: _quiet(value) for key, value in node.items() if key not in _RESTLESS and not (fills and key == "elem")}
