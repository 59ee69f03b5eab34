"""Who may ask the keeper for what: by the user whom the kernel names at the other end of the socket.

What it does: a table from process to the requests that it may make. Root and the keeper's own user may make all of them; whoever else
may connect (the group `gatepost`) may ask how everything is, and nothing more.
Not its job: who may connect at all (mode and group of the socket).
Raises: nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from gatepost.deploy.units.people import Staff
from gatepost.services.messages import (
    Beat,
    Delete,
    Fetch,
    Foresee,
    Introduce,
    Look,
    Note,
    Outcome,
    Post,
    Rates,
    Record,
    Redo,
    Release,
    Request,
    Undo,
)

MAY: Mapping[str, tuple[type, ...]] = {
    "front": (Record, Outcome, Beat, Introduce),
    "watch": (Note, Introduce),
    "console": (Release, Delete, Foresee, Post, Undo, Redo, Rates, Fetch, Note),
    "signatures": (Note,),
}
"""What each process may ask for besides `Look`."""


def may(request: Request, uid: int, staff: Staff) -> bool:
    """Whether the user with this number may make the request."""
    if uid in {0, os.geteuid()} or isinstance(request, Look):
        return True
    return any(isinstance(request, MAY.get(process, ())) for process, account in staff.items() if account.uid == uid)
