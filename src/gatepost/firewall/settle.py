"""Makes the kernel hold the rules of a file, whether it has just been written or put back. `python -m gatepost.firewall.settle FILE`.

What it does: loads the file in one transaction, compares what the kernel then holds with the same file in an empty network of its own,
sets the kernel switches, and lets packets be forwarded only when both are the same. Without the file our table goes and nothing is forwarded.
Not its job: the proof of the rules against the policy, which comes before the file is written (`prove`).
Raises: nothing; what is wrong stands on standard error, and the exit status is 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gatepost.firewall import nft
from gatepost.firewall.apply import ApplyError, Place, forward
from gatepost.firewall.compile import BASE, RUNNING, TABLE
from gatepost.firewall.switches import set_profile
from gatepost.system.files import read

VOLATILE = ("handle", "index", "counter")
"""What differs between two kernels that hold the same rules."""


def settle(path: Path) -> None:
    """Load the file, or what there was before us: nothing. Raises ApplyError, NftError, OSError."""
    place = Place(path.parent)
    if not path.exists():
        forward(place, on=False)
        nft.load(f"table inet {TABLE}\ndelete table inet {TABLE}\n")
        return
    text = read(path).decode()
    nft.load(refill(text, nft.objects(nft.listing(), TABLE)))
    if not same(nft.listing(), nft.rehearse(text)):
        forward(place, on=False)
        nft.load(BASE + f"flush table inet {TABLE}\n")
        raise ApplyError("the kernel does not hold what was loaded; nothing passes until that is mended")
    set_profile()
    forward(place, on=True)


def refill(text: str, present: list[tuple[str, str]]) -> str:
    """The same rules as one transaction over those that are loaded: sets that fill while running keep what they have learnt."""
    gone = [item for item in sorted(present, key=lambda item: item[0] != "map") if not item[1].startswith(RUNNING)]
    lines = [f"delete {kind} inet {TABLE} {name}" for kind, name in gone]
    return text.replace(f"flush table inet {TABLE}", "\n".join([f"flush table inet {TABLE}", *lines]), 1)


def same(one: str, other: str) -> bool:
    """Whether two JSON listings have the same rules in our table, whatever their running sets hold and their counters say."""
    return _plain(one) == _plain(other)


def _plain(listing: str) -> list[str]:
    items = [next(iter(item.items())) for item in json.loads(listing)["nftables"]]
    ours = [(kind, value) for kind, value in items if value.get("table", value.get("name")) == TABLE]
    return sorted(json.dumps([kind, _stripped(value, running=str(value.get("name", "")).startswith(RUNNING))]) for kind, value in ours)


def _stripped(value: Any, *, running: bool = False) -> Any:
    if isinstance(value, dict):
        left = {key: one for key, one in value.items() if key not in VOLATILE and not (running and key == "elem")}
        return {key: _stripped(one) for key, one in sorted(left.items())}
    if isinstance(value, list):
        return [_stripped(one) for one in value]
    return value


if __name__ == "__main__":
    try:
        settle(Path(sys.argv[1]))
    except (ApplyError, nft.NftError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
