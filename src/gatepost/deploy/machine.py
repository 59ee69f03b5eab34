"""Reading and writing the files of this machine, or of a tree under `root` that is not running.

Not its job: deciding (`plan`), order and undoing (`transaction`).
Raises: `DeployError` for an owner whom the machine does not know and for what lies in the place of a file; `OSError`.
"""

from __future__ import annotations

import grp
import pwd
import re
import stat
from pathlib import Path

from gatepost.deploy.plan import Present
from gatepost.system.artifact import Artifact
from gatepost.system.files import make_directory, read, remove, write_atomic

_STALE = re.compile(r"[0-9a-f]{16}")


class DeployError(Exception):
    """What was asked cannot be done; nothing was changed, or everything was put back. The text says what to do."""


def under(root: Path, path: Path) -> Path:
    """Where `path` is in the tree under `root`."""
    return root / path.relative_to("/")


def present(root: Path, path: Path) -> Present | None:
    """The file that is there; None when there is none."""
    place = under(root, path)
    try:
        status = place.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise DeployError(f"{place} is not a plain file; move it away, or the link's target would be overwritten")
    return Present(read(place), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def wanted(one: Artifact) -> Present:
    """An artifact as the file that it becomes."""
    try:
        return Present(one.content, one.mode, pwd.getpwnam(one.owner).pw_uid, grp.getgrnam(one.group).gr_gid)
    except KeyError as error:
        raise DeployError(
            f"{one.path} shall belong to {one.owner}:{one.group}: {error.args[0]}; install the package that makes it"
        ) from None


def put(root: Path, path: Path, file: Present | None) -> None:
    """Make the file at `path` be `file`: whole on the disk when this returns. What an interrupted call left beside it goes."""
    place = under(root, path)
    for stale in place.parent.glob(f".{place.name}.*"):
        if _STALE.fullmatch(stale.name.removeprefix(f".{place.name}.")):
            remove(stale)
    if file is None:
        remove(place)
        return
    make_directory(place.parent, 0o755)
    write_atomic(place, file.content, file.mode, (file.uid, file.gid))
