"""A thousand changed rule sets: each is found with a packet, or proved to do the same; and the kernel agrees with each packet.

`python -m tests.firewall.long.mutants [COUNT] [SEED]`; needs root and nft. A mutant is loaded into the bench's kernel and the
counter-example sent through it (for new packets through or to the firewall; other states have a history that one packet has not).
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declared import read_policy
from gatepost.firewall.formula import Packet
from gatepost.firewall.nft import NftError, rehearse
from gatepost.firewall.nft_reader import ReadError, read_nft
from gatepost.firewall.prove import Difference, Outcome, prove
from gatepost.firewall.words import packet_text
from tests.support.netlab import Bench, bench, kernel_state
from tests.support.rulemutants import mutants

ROOT = Path(__file__).resolve().parents[3]
SIDES = {"eth0", "eth1", "eth2"}


def routable(packet: Packet) -> bool:
    """Whether the kernel's routing takes the packet at all: multicast, loopback, unset and link-local sources it refuses before any rule."""
    kind = IPv4Address if packet.family == 4 else IPv6Address
    odd = [kind(number) for number in (packet.src, packet.dst)]
    return not any(one.is_multicast or one.is_loopback or one.is_link_local or one.is_unspecified or one.is_reserved for one in odd)


def replayable(difference: Difference) -> bool:
    """Whether one packet, sent into fresh tables, is what the counter-example says."""
    packet = difference.packet
    return (
        difference.path == "forward"
        and "pass" in difference.what
        and packet.state == kernel_state(packet)
        and packet.iif in SIDES
        and packet.oif in SIDES
        and not packet.fragment
        and routable(packet)
        and not packet.holds
        and packet.proto in {1, 6, 17, 58, 47}
    )


ORDER = ("table", "ct helper", "chain", "set", "map", "rule")


def loadable(text: str) -> str:
    """A listing as nft -j -f takes it: what is referred to before what refers.

    nft 1.0.6 can neither write nor read in JSON that a set fills while it runs; rules that limit a source are left out, as one packet
    never exceeds a limit.
    """
    items = [item for item in json.loads(text)["nftables"] if "metainfo" not in item and "size" not in item.get("set", {})]
    for item in items:
        for value in item.values():
            value.pop("handle", None)
    items = [item for item in items if not any("set" in part for part in item.get("rule", {}).get("expr", []))]
    items.sort(key=lambda item: ORDER.index(next(iter(item))))
    return json.dumps({"nftables": [{"flush": {"ruleset": None}}, *({"add": item} for item in items)]})


def replayed(lab: Bench, text: str, difference: Difference) -> str:
    """What the kernel does with the counter-example: agrees, differs, or could not be asked."""
    try:
        lab.inside("nft", "-j", "-f", "-", text=loadable(text))
    except AssertionError:
        return "not loadable"
    packet = difference.packet
    # The kernel routes by the address after translation.
    routed = replace(packet, dst=difference.decision.packet.dst)
    lab.inside("conntrack", "-F")
    lab.ways(routed)
    seen = lab.send([packet])[0]
    lab.no_ways(routed)
    return "agrees" if (seen is not None) is difference.decision.accepted else "DIFFERS"


def run(count: int, seed: int) -> Counter[str]:
    """Try so many mutants; the counts say what became of them."""
    policy = read_policy(ROOT / "examples" / "widget" / "site.toml")
    text = rehearse(reload_text(compile_policy(policy), ()))
    tally: Counter[str] = Counter()
    with bench() as lab:
        for what, mutant in mutants(text, seed, count):
            try:
                proof = prove(policy, read_nft(mutant))
            except ReadError:
                tally["refused"] += 1
                continue
            tally[proof.outcome.name.lower()] += 1
            if proof.outcome is Outcome.PROVED:
                tally[f"same: {what.split(':')[0]}"] += 1
            for difference in filter(replayable, proof.differences[:2]):
                result = replayed(lab, mutant, difference)
                tally[f"kernel {result}"] += 1
                if result == "DIFFERS":
                    print(f"{what}\n    {difference.what}: {packet_text(replace(difference.packet))}", flush=True)
    return tally


if __name__ == "__main__":
    begun = time.monotonic()
    try:
        done = run(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    except NftError as error:
        sys.exit(str(error))
    print(f"{time.monotonic() - begun:.0f} s; " + "; ".join(f"{name} {number}" for name, number in sorted(done.items())))
    sys.exit(bool(done["kernel DIFFERS"]))
