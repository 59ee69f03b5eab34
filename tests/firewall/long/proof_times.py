"""How long compile, listing, reading and proof take: `python -m tests.firewall.long.proof_times [FLOWS ...]`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.nft import listing, load
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import prove
from tests.firewall.conftest import policy_from
from tests.support.netlab import bench

ROOT = Path(__file__).resolve().parents[3]
T = TypeVar("T")


def site(flows: int) -> str:
    """The demo company with so many further hosts, services and flows."""
    text = (ROOT / "examples" / "widget" / "site.toml").read_text(encoding="utf-8")
    parts = [text.replace('"192.168.2.0/24", ', '"192.168.2.0/24", "10.50.0.0/16", ', 1)]
    for n in range(flows):
        parts.append(f'[hosts.s{n}]\nzone = "services"\naddresses = ["10.50.{n // 250}.{n % 250 + 1}"]\n')
        parts.append(f"[services.svc{n}]\n{'tcp' if n % 2 else 'udp'} = [{1024 + n % 60000}]\n")
        ends = f'from = "{("internet", "internal")[n % 2]}"\nto = "s{n}"'
        parts.append(f'[[flows]]\nid = "f{n}"\n{ends}\nservices = "svc{n}"\nreason = "for the measurement"\nowner = "nobody"\n')
    return "\n".join(parts)


def timed(call: Callable[[], T]) -> tuple[T, float, float]:
    """The result, seconds by the clock, and seconds of the processor, those of the programs that were run included."""
    wall, own = time.monotonic(), sum(os.times()[:4])
    result = call()
    return result, time.monotonic() - wall, sum(os.times()[:4]) - own


def measure(flows: int) -> str:
    """One line: each step in seconds of the processor, and by the clock."""
    policy, *declared = timed(lambda: policy_from(site(flows)))
    compiled, *made = timed(lambda: compile_policy(policy))
    text = reload_text(compiled, ())
    with bench() as lab:
        _, *applied = timed(lambda: load(text, lab.fw))
        _, *again = timed(lambda: load(reload_text(compiled, compiled.objects), lab.fw))
        found, *listed = timed(lambda: listing(lab.fw))
    ruleset, *reading = timed(lambda: read_nft(found))
    proof, *proved = timed(lambda: prove(policy, ruleset))
    steps = {"declare": declared, "compile": made, "nft -f": applied, "again": again, "list": listed, "read": reading, "prove": proved}
    told = ", ".join(f"{name} {own:.2f} ({wall:.2f})" for name, (wall, own) in steps.items())
    whole = [sum(step[kind] for step in (listed, reading, proved)) for kind in (1, 0)]
    return (
        f"{flows} flows: {proof.outcome.name}; {told}; list + read + prove {whole[0]:.2f} s of the processor, {whole[1]:.2f} s by the clock"
    )


if __name__ == "__main__":
    for word in sys.argv[1:] or ["50", "500", "5000"]:
        print(measure(int(word)), flush=True)
