"""Reads and sets the kernel switches of a host, and says which are otherwise than the profile.

Not its job: the profile and its reasons (`harden`).
Raises: OSError when a switch cannot be written.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    for name, switch in wanted(interfaces_of(root)):
        path = _path(name, root)
        if path.exists():
            path.write_text(switch.value + "\n", encoding="ascii")
    return differences(root)
