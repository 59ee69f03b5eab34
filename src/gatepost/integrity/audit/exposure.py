"""What can be reached and what runs: listening sockets, enabled units, files that make root.

Raises: nothing for what is not there.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from gatepost.integrity.audit.finding import AuditFinding, Severity
from gatepost.integrity.audit.roles import Role
from gatepost.integrity.compare import CAPABILITY_NAME
from gatepost.integrity.describe import capability_text
from gatepost.integrity.dpkg import Dpkg
from gatepost.integrity.mounts import Mounts

_LISTENING: Final = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
_LEGACY: Final = {"111/tcp": "portmapper", "111/udp": "portmapper", "2049/tcp": "NFS", "23/tcp": "telnet", "69/udp": "TFTP", "512/tcp": "rexec", "513/tcp": "rlogin",
                  "514/tcp": "rsh", "6000/tcp": "X11", "139/tcp": "NetBIOS", "445/tcp": "SMB", "631/tcp": "printing", "5900/tcp": "VNC"}  # fmt: skip
_UNIT_FOLDERS: Final = ("etc/systemd/system", "etc/systemd/user")


class Listener(NamedTuple):
    """A socket that waits for others: port as "25/tcp", address, and the program that has it ("" not known)."""

    port: str
    address: str
    program: str

    @property
    def is_local(self) -> bool:
        """Whether only this host can reach it."""
        return ipaddress.ip_address(self.address).is_loopback


def listeners(proc: Path = Path("/proc")) -> list[Listener]:
    """All listening sockets of this host."""
    programs = _programs(proc)
    found = []
    for name, state in _LISTENING.items():
        path = proc / "net" / name
        for line in path.read_text("ascii").splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[3] == state and (name.startswith("tcp") or fields[2].endswith(":0000")):
                found.append(_listener(fields, name[:3], programs))
    return found


def extra_listeners(found: list[Listener], role: Role, allowed: tuple[str, ...]) -> Iterator[AuditFinding]:
    """Sockets that others can reach and that the role does not have."""
    for one in found:
        if one.is_local or one.port in role.ports or one.port in allowed:
            continue
        legacy = _LEGACY.get(one.port, "")
        severity = Severity.CRITICAL if legacy else Severity.HIGH
        who = f" by {one.program}" if one.program else ""
        why = f"{legacy or 'a service'} listens on {one.address}, port {one.port}{who}; a {role.name} has no such service"
        yield AuditFinding(
            "listeners",
            f"{one.port} {one.program}".strip(),
            severity,
            why,
            "stop and disable it, bind it to 127.0.0.1, or allow the port in the site file",
        )


def privileged_files(root: Path, dpkg: Dpkg, mounts: Mounts, allowed: tuple[str, ...]) -> Iterator[AuditFinding]:
    """Setuid and setgid files and file capabilities that no package brought."""
    known = {path for package in dpkg.versions for path in dpkg.files(package)}
    for path, status, capability in privileged(root, mounts):
        shown = "/" + os.path.relpath(path, root)
        if shown in known or shown.removeprefix("/usr") in known or shown in allowed:
            continue
        sets_user = bool(status.st_mode & stat.S_ISUID)
        who = f"user {status.st_uid}" if sets_user else f"group {status.st_gid}"
        runs = f"runs as {who} whoever starts it (mode {stat.S_IMODE(status.st_mode):04o})"
        what = f"has the capability {capability}" if capability else runs
        severity = Severity.CRITICAL if capability or (sets_user and status.st_uid == 0) else Severity.HIGH
        yield AuditFinding(
            "privileged files", shown, severity, f"{shown} {what}, and belongs to no package", f"rm {shown}, or find out who made it"
        )


def foreign_units(root: Path, dpkg: Dpkg, allowed: tuple[str, ...]) -> Iterator[AuditFinding]:
    """Units that start something and that no package brought."""
    known = {path.removeprefix("/usr") for package in dpkg.versions for path in dpkg.files(package) if "/systemd/" in path}
    for folder in _UNIT_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            shown = "/" + str(path.relative_to(root))
            if path.is_symlink() or not path.is_file() or path.name in allowed or shown in known:
                continue
            starts = ", ".join(re.findall(r"^Exec\w*=\s*(.+)$", path.read_text("utf-8", "replace"), re.MULTILINE))
            why = f"the unit {path.name} belongs to no package" + (f" and starts {starts[:120]}" if starts else "")
            yield AuditFinding(
                "units", shown, Severity.MEDIUM, why, f"systemctl disable {path.name} and remove it, or allow it in the site file"
            )


def _listener(fields: list[str], kind: str, programs: dict[str, str]) -> Listener:
    address, _, port = fields[1].partition(":")
    raw = bytes.fromhex(address)
    words = b"".join(raw[n : n + 4][::-1] for n in range(0, len(raw), 4))
    return Listener(f"{int(port, 16)}/{kind}", str(ipaddress.ip_address(words)), programs.get(fields[9], ""))


def _programs(proc: Path) -> dict[str, str]:
    """Program names by socket inode, for the processes that we may look into."""
    found = {}
    for process in proc.glob("[0-9]*"):
        try:
            name = (process / "comm").read_text("utf-8", "replace").strip()
            for link in (process / "fd").iterdir():
                target = str(link.readlink())
                if target.startswith("socket:["):
                    found[target[8:-1]] = name
        except OSError:
            continue
    return found


def privileged(root: Path, mounts: Mounts) -> Iterator[tuple[str, os.stat_result, str]]:
    """Every file that gives rights to whoever starts it: path, status, capability ("" none)."""
    waiting = [os.fspath(root)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as items:
                for item in items:
                    status = item.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        if status.st_dev not in mounts.pseudo:
                            waiting.append(item.path)
                    elif stat.S_ISREG(status.st_mode):
                        capability = _capability(item.path) if status.st_mode & 0o111 else ""
                        if capability or status.st_mode & 0o6000:
                            yield item.path, status, capability
        except OSError:
            continue


def _capability(path: str) -> str:
    try:
        return capability_text(os.getxattr(path, CAPABILITY_NAME, follow_symlinks=False))
    except OSError:
        return ""
