"""Does a forbidden packet pass while the rules are being replaced? And how long does a whole apply take?

`python -m tests.firewall.long.reload_leak [RELOADS]`; needs root and nft. The usual way (delete the table and make it anew) is measured
beside ours as the control: a measurement that cannot see a leak there would prove nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from ipaddress import ip_address
from pathlib import Path

from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declared import read_policy
from gatepost.firewall.formula import Packet
from gatepost.firewall.nft import objects
from tests.support.netlab import Bench, bench

ROOT = Path(__file__).resolve().parents[3]
BATCH = 2000


def forbidden(start: int) -> list[Packet]:
    """New datagrams from outside to the inside mail server, each a connection of its own."""
    base = Packet(iif="eth0", oif="eth2", proto=17, src=int(ip_address("198.51.100.66")), dst=int(ip_address("192.168.3.45")))
    values = {name: getattr(base, name) for name in base.__slots__}
    return [Packet(**values | {"sport": 1024 + (start + n) % 64000, "dport": 2000 + (start + n) // 64000 % 60000}) for n in range(BATCH)]


def leaked(lab: Bench, text: str, reloads: int) -> tuple[int, int, float]:
    """Packets that came out, packets sent, and seconds a reload, while the rules are replaced so many times."""
    done = threading.Event()
    counts = [0, 0]

    def pour() -> None:
        while not done.is_set():
            counts[0] += sum(seen is not None for seen in lab.send(forbidden(counts[1])))
            counts[1] += BATCH

    thread = threading.Thread(target=pour)
    thread.start()
    begun = time.monotonic()
    for _ in range(reloads):
        lab.inside("nft", "-f", "-", text=text)
    each = (time.monotonic() - begun) / reloads
    done.set()
    thread.join()
    return counts[0], counts[1], each


def run(reloads: int) -> dict[str, tuple[int, int, float]]:
    """Ours, and the control."""
    policy = read_policy(ROOT / "examples" / "widget" / "site.toml")
    compiled = compile_policy(policy)
    results = {}
    with bench() as lab:
        lab.ways(forbidden(0)[0])
        listing = lab.load(reload_text(compiled, ()))
        results["flush and refill (Gatepost)"] = leaked(lab, reload_text(compiled, objects(listing, "gatepost")), reloads)
        usual = "table inet gatepost\ndelete table inet gatepost\n" + reload_text(compiled, ())
        results["delete the table (usual)"] = leaked(lab, usual, reloads)
    return results


if __name__ == "__main__":
    found = run(int(sys.argv[1]) if len(sys.argv) > 1 else 250)
    for name, (passed, sent, each) in found.items():
        print(f"{name}: {passed} of {sent} forbidden packets passed, {1000 * each:.0f} ms a reload")
    sys.exit(bool(found["flush and refill (Gatepost)"][0]))
