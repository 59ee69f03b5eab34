"""Reads and sets the kernel switches of a host, and says which are otherwise than the profile.

Most switches belong to a network namespace, and a process sees those of its own; `python -m` this module therefore runs in the namespace
meant: `read` prints every switch of the profile as it is, `set` sets the profile and prints what is otherwise, `restore` sets what it reads.
Not its job: the profile and its reasons (`harden`).
Raises: nothing when a switch cannot be written; what is read back afterwards says so.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from gatepost.firewall.harden import otherwise, wanted

PROC = Path("/proc/sys")


def _path(name: str, root: Path) -> Path:
    # An interface may have dots in its name (eth0.10), so the known parts are cut off from both sides.
    head, tail = name.split(".")[:3], name.rsplit(".", maxsplit=1)[-1]
    if head[2:3] == ["conf"]:
        middle = name.removeprefix(".".join(head) + ".").removesuffix(f".{tail}")
        return root.joinpath(*head, middle, tail)
    return root.joinpath(*name.split("."))


def read_back(interfaces: Iterable[str], root: Path = PROC) -> dict[str, str | None]:
    """Every switch of the profile as the kernel has it now; None where the kernel has none."""
    found: dict[str, str | None] = {}
    for name, _ in wanted(interfaces):
        path = _path(name, root)
        found[name] = path.read_text(encoding="ascii").strip() if path.exists() else None
    return found


def interfaces_of(root: Path = PROC) -> list[str]:
    """The interfaces that the kernel has now."""
    folder = root / "net" / "ipv4" / "conf"
    return sorted(path.name for path in folder.iterdir() if path.name not in {"all", "default", "lo"}) if folder.is_dir() else []


def differences(root: Path = PROC) -> list[str]:
    """What is set otherwise than the profile says, each with its reason, as sentences."""
    here = interfaces_of(root)
    told = []
    for name, value, switch in otherwise(read_back(here, root), here):
        now = f"is {value}" if value is not None else "does not exist"
        told.append(f"{name} {now}, but should be {switch.value}: {switch.reason}")
    return told


def set_profile(root: Path = PROC) -> list[str]:
    """Set every switch, `default` before each interface so that one that appears meanwhile inherits; then what is still otherwise."""
    write({name: switch.value for name, switch in wanted(interfaces_of(root))}, root)
    return differences(root)


def write(values: Mapping[str, str | None], root: Path = PROC) -> None:
    """Set these switches, as far as the kernel has them and lets us."""
    for name, value in values.items():
        path = _path(name, root)
        if value is not None and path.exists():
            with contextlib.suppress(OSError):
                path.write_text(f"{value}\n", encoding="ascii")


def main() -> None:
    """Do what the first argument says, in the network namespace of this process."""
    match sys.argv[1]:
        case "read":
            found: object = read_back(interfaces_of())
        case "set":
            found = set_profile()
        case _:
            write(json.load(sys.stdin))
            found = differences()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
