"""Connections that are open: those that a new policy no longer allows are found and ended.

What it does: reads the kernel's table with the conntrack tool, judges each connection by what is meant, and deletes the forbidden ones.
Not its job: the policy.
Raises: `NftError` when the tool fails; a host without it is told so by `missing`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from gatepost.firewall.declare import Policy
from gatepost.firewall.formula import PROTOCOLS
from gatepost.firewall.intent import intent
from gatepost.firewall.nft import NftError
from gatepost.firewall.verdict import may_begin

_TUPLE = re.compile(r"^(\w+)\s+\d+\s.*?src=(\S+) dst=(\S+)(?: sport=(\d+) dport=(\d+))?")


@dataclass(frozen=True, slots=True)
class Connection:
    """One open connection, as it began."""

    proto: str
    source: str
    target: str
    sport: int
    dport: int

    def __str__(self) -> str:
        """As an administrator writes it."""
        return f"{self.proto} from {self.source}:{self.sport} to {self.target}:{self.dport}"


def missing() -> bool:
    """True when there is no conntrack tool; forbidden connections then live until they end by themselves."""
    return shutil.which("conntrack") is None


def _conntrack(namespace: str, *words: str) -> str:
    inside = ["ip", "netns", "exec", namespace] if namespace else []
    done = subprocess.run([*inside, "conntrack", *words], capture_output=True, text=True, check=False)
    if done.returncode and "0 flow entries" not in done.stderr:
        raise NftError(f"conntrack {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def read_connections(text: str) -> Iterator[Connection]:
    """The TCP and UDP connections in the output of `conntrack -L`."""
    for line in text.splitlines():
        found = _TUPLE.match(line)
        if found and found[1] in {"tcp", "udp"} and found[4]:
            yield Connection(found[1], found[2], found[3], int(found[4]), int(found[5]))


def forbidden(policy: Policy, connections: Iterator[Connection]) -> Iterator[Connection]:
    """The connections that could not begin under the policy. What talks to itself is nobody's business."""
    meant = intent(policy)
    for item in connections:
        if item.source == item.target or ip_address(item.source).is_loopback or ip_address(item.target).is_multicast:
            continue
        allowed, _ = may_begin(policy, meant, item.source, item.target, PROTOCOLS[item.proto], item.dport)
        if not allowed:
            yield item


def end_forbidden(policy: Policy, namespace: str = "") -> list[Connection]:
    """End every open connection that the policy does not allow, and say which they were."""
    if missing():
        return []
    found: list[Connection] = []
    for family in ("ipv4", "ipv6"):
        found += forbidden(policy, read_connections(_conntrack(namespace, "-L", "-f", family)))
    for item in found:
        words = ["-p", item.proto, "-s", item.source, "-d", item.target, "--sport", str(item.sport), "--dport", str(item.dport)]
        _conntrack(namespace, "-D", "-f", "ipv6" if ":" in item.source else "ipv4", *words)
    return found
