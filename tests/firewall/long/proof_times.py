"""How long compile, listing, reading and proof take: `python -m tests.firewall.long.proof_times [FLOWS ...]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.nft import load, rehearse
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
    """The result, seconds by the clock, and seconds of the processor."""
    wall, own = time.monotonic(), time.process_time()
    result = call()
    return result, time.monotonic() - wall, time.process_time() - own


def measure(flows: int) -> str:
    """One line: each step in seconds by the clock, and of the processor where it is ours."""
    policy, _, declared = timed(lambda: policy_from(site(flows)))
    compiled, _, made = timed(lambda: compile_policy(policy))
    text = reload_text(compiled, ())
    with bench() as lab:
        _, applied, _ = timed(lambda: load(text, lab.fw))
    listing, listed, _ = timed(lambda: rehearse(text))
    ruleset, _, read = timed(lambda: read_nft(listing))
    proof, wall, proved = timed(lambda: prove(policy, ruleset))
    total = f"declare {declared:.2f}, compile {made:.2f}, nft -f {applied:.2f}, load and list {listed:.2f}, read {read:.2f}, prove {proved:.2f} ({wall:.2f} by the clock)"
    return f"{flows} flows: {proof.outcome.name}; {total}; listing + read + proof {listed + read + proved:.2f} s"


if __name__ == "__main__":
    for word in sys.argv[1:] or ["50", "500", "5000"]:
        print(measure(int(word)), flush=True)
