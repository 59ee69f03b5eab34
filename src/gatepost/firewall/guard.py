"""Waits for a change to be confirmed, and takes it back when it is not. Started by `apply`, detached from the session that applied.

Not its job: anything else. It looks at the change's own deadline, so a second change after a confirmation is not its business.
Raises: nothing that anybody would see; a roll-back that fails is tried again every second.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from gatepost.firewall.apply import ApplyError, Place, pending, roll_back
from gatepost.firewall.nft import NftError


def wait(state: Path) -> bool:
    """Until the deadline of the change that waits now, or until it is confirmed; whether it was taken back."""
    first = pending(Place(state))
    if first is None:
        return False
    place = Place(state, str(first["namespace"]))
    while pending(place) == first:
        left = float(str(first["deadline"])) - time.time()
        if left > 0:
            time.sleep(min(left, 0.5))
            continue
        try:
            roll_back(place)
        except (ApplyError, NftError, OSError):
            time.sleep(1)
        else:
            return True
    return False


if __name__ == "__main__":
    wait(Path(sys.argv[1]))
