"""A port opened for a while for one scanner only, so that "nothing found" is known to be a scan that could have found something.

What it does: puts the scanner's addresses into a set with a timeout, lets that set reach one port of the firewall, counts all packets that
come from it, answers on the port, and takes everything away again. When the process dies, the set empties itself.
Not its job: the scan (`outside`).
Raises: `NftError` when the rules of Gatepost are not loaded here, `VantageError` when the port cannot be listened on.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from gatepost.firewall import nft, vantage
from gatepost.firewall.compile import TABLE, VERSIONS

PORT = 61025
"""Above the ports that Linux gives to outgoing connections, and nobody's by IANA's list."""
REACHED = f"meta l4proto {{ tcp, udp }} th dport {PORT}"
NAME = "canary"
"""What it says, so that nobody else is taken for it."""
HOLD = 600
"""For how many seconds it is open at most; longer than any scan takes."""
COMMENT, COUNTED = "verify: canary", "verify: packets seen"
UPTIME = "2"
"""The value of net.ipv4.tcp_timestamps that shows everybody how long the host is up."""


def opening(sources: Iterable[str], seconds: int) -> str:
    """The transaction that opens the port for these addresses, for so many seconds, and counts all their packets."""
    lines = []
    known = list(sources)
    for version, word in VERSIONS:
        elements = [f"{source} timeout {seconds}s" for source in known if ip_address(source).version == version]
        if elements:
            name = f"canary{version}"
            lines += [
                f"add set inet {TABLE} {name} {{ type ipv{version}_addr; flags timeout; }}",
                f"add element inet {TABLE} {name} {{ {', '.join(elements)} }}",
                f'insert rule inet {TABLE} input {word} saddr @{name} {REACHED} ct state new accept comment "{COMMENT}"',
                f'insert rule inet {TABLE} entry {word} saddr @{name} counter comment "{COUNTED}"',
            ]
    return "\n".join(lines) + "\n"


def closing(listing: str) -> str:
    """The transaction that takes away whatever a canary left in a listing."""
    rules = [f"delete rule inet {TABLE} {rule['chain']} handle {rule['handle']}" for rule in _rules(listing)]
    sets = [f"delete set inet {TABLE} {name}" for kind, name in nft.objects(listing, TABLE) if kind == "set" and name.startswith("canary")]
    return "\n".join([*rules, *sets]) + "\n"


def counted(listing: str) -> int:
    """How many packets the firewall has seen from the scanner."""
    counters = (part["counter"] for rule in _rules(listing) for part in rule["expr"] if "counter" in part)
    return sum(int(counter["packets"]) for counter in counters)


def _rules(listing: str) -> Iterator[dict[str, Any]]:
    for item in json.loads(listing)["nftables"]:
        rule = item.get("rule", {})
        if rule.get("comment") in {COMMENT, COUNTED} and (rule["family"], rule["table"]) == ("inet", TABLE):
            yield rule


@dataclass(slots=True)
class Canary:
    """The open port, as long as the block lasts. `addresses` are the firewall's own on the side of the scanner."""

    addresses: list[str]
    sources: list[str]
    seconds: int
    namespace: str = ""
    _listener: subprocess.Popen[str] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        """Listen, then open; what an earlier canary left is taken away first."""
        places = [(address, kind, PORT) for address in self.addresses for kind in ("tcp", "udp")]
        self._listener = vantage.listener(vantage.here(self.namespace), NAME, places)
        try:
            nft.load(closing(nft.listing(self.namespace)) + opening(self.sources, self.seconds), self.namespace)
        except BaseException:
            self._silence()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close, then stop listening."""
        try:
            nft.load(closing(nft.listing(self.namespace)), self.namespace)
        finally:
            self._silence()

    def _silence(self) -> None:
        if self._listener:
            self._listener.kill()
            self._listener.wait()

    def packets(self) -> int:
        """How many packets of the scanner the firewall has seen until now."""
        return counted(nft.listing(self.namespace))


def shows_uptime(root: Path = Path("/proc/sys")) -> bool:
    """Whether this host's TCP timestamps tell how long it is up."""
    return (root / "net/ipv4/tcp_timestamps").read_text(encoding="ascii").strip() == UPTIME
