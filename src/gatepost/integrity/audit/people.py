"""Who may get in: accounts, keys, sudo, jobs; and everything that one person has left behind.

Not its job: removing anything; each finding says how.
Raises: nothing for what is not there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatepost.integrity.audit.exposure import privileged
from gatepost.integrity.audit.finding import AuditFinding, Severity
from gatepost.integrity.dpkg import Dpkg
from gatepost.integrity.mounts import Mounts

_NO_SHELLS: Final = ("nologin", "false", "sync")
_CRON_FOLDERS: Final = ("etc/cron.d", "etc/cron.hourly", "etc/cron.daily", "etc/cron.weekly", "etc/cron.monthly")
_MENTIONS: Final = (
    ("sudoers", Severity.CRITICAL, ("etc/sudoers", "etc/sudoers.d"), "may become root", "remove the line with visudo"),
    ("ssh", Severity.HIGH, ("etc/ssh/sshd_config", "etc/ssh/sshd_config.d"), "is named in the settings of sshd", "remove the name"),
    ("cron", Severity.HIGH, ("etc/crontab", *_CRON_FOLDERS), "is named in a job", "remove the job"),
    ("units", Severity.HIGH, ("etc/systemd/system", "etc/systemd/user"), "is named in a unit", "systemctl disable it and remove the file"),
    ("aliases", Severity.MEDIUM, ("etc/aliases", "etc/mail/aliases", "etc/postfix/virtual"), "still gets mail", "point the alias at somebody else, then newaliases"),
    ("start", Severity.HIGH, ("etc/rc.local", "etc/profile.d", "etc/init.d"), "is named in a start script", "remove the line"),
    ("rights", Severity.MEDIUM, ("etc/security", "etc/pam.d", "etc/polkit-1"), "is named in the rules of who may do what", "remove the name"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """A line of passwd(5), and whether shadow(5) lets somebody in with a password."""

    name: str
    uid: int
    home: str
    shell: str
    password: str = ""

    @property
    def has_shell(self) -> bool:
        """Whether one can work in it."""
        return bool(self.shell) and not self.shell.endswith(_NO_SHELLS)


def accounts(root: Path) -> list[Account]:
    """All accounts of the tree at `root`."""
    shadow = {fields[0]: fields[1] for fields in _rows(root / "etc/shadow") if len(fields) > 1}
    rows = (fields for fields in _rows(root / "etc/passwd") if len(fields) == 7 and fields[2].isdigit())  # noqa: PLR2004 - passwd(5)
    return [Account(f[0], int(f[2]), f[5], f[6], shadow.get(f[0], f[1])) for f in rows]


def doors(root: Path, allowed: tuple[str, ...]) -> Iterator[AuditFinding]:
    """Accounts that can be entered, and how."""
    found = accounts(root)
    for one in found:
        if one.uid == 0 and one.name != "root":
            yield AuditFinding("accounts", one.name, Severity.CRITICAL, f"{one.name} is a second root (user id 0)", f"userdel {one.name}")
        if one.password == "" and one.has_shell:
            yield AuditFinding("accounts", one.name, Severity.CRITICAL, f"{one.name} has no password at all", f"passwd -l {one.name}")
        if one.has_shell and one.uid >= 1000 and one.uid != 65534 and one.name not in allowed:  # noqa: PLR2004 - login.defs(5)
            why = f"{one.name} can log in, and the site does not name this account"
            yield AuditFinding(
                "accounts", one.name, Severity.MEDIUM, why, f"gatepost integrity offboard {one.name}, or allow the account in the site file"
            )
        yield from _keys(root, one, allowed)


def foreign_jobs(root: Path, dpkg: Dpkg) -> Iterator[AuditFinding]:
    """Jobs that no package brought."""
    known = {path for package in dpkg.versions for path in dpkg.files(package) if path.startswith("/etc/cron")}
    places = (
        [path for folder in _CRON_FOLDERS for path in _files(root / folder)]
        + _files(root / "var/spool/cron/crontabs")
        + _files(root / "var/spool/cron/atjobs")
    )
    for path in places:
        shown = "/" + str(path.relative_to(root))
        if shown not in known and path.name not in (".placeholder", ".SEQ"):
            yield AuditFinding(
                "jobs",
                shown,
                Severity.MEDIUM,
                f"the job {shown} belongs to no package",
                "look at it, and remove it or accept it with a reason",
            )


def leftovers(root: Path, name: str, mounts: Mounts, proc: Path = Path("/proc")) -> Iterator[AuditFinding]:
    """Everything that the person `name` has left on this host."""
    account = next((a for a in accounts(root) if a.name == name), None)
    if account is not None:
        yield from _account(root, account)
        yield from _processes(account, proc)
        yield from _owned(root, account, mounts)
    yield from _twins(root, name, account)
    yield from _groups(root, name)
    yield from _foreign_keys(root, name)
    yield from _mentioned(root, name, account.home if account else f"/home/{name}")
    yield from _personal_files(root, name)


def _account(root: Path, account: Account) -> Iterator[AuditFinding]:
    name = account.name
    if account.has_shell or account.password[:1] not in ("!", "*", ""):
        can = "log in with a password" if account.password[:1] not in ("!", "*") else "be entered with a key or by su"
        yield AuditFinding(
            "account",
            name,
            Severity.CRITICAL,
            f"the account {name} is open: it can {can}",
            f"usermod --lock --expiredate 1 --shell /usr/sbin/nologin {name}",
        )
    home = root / account.home.lstrip("/")
    for key in (".ssh/authorized_keys", ".ssh/authorized_keys2", ".shosts", ".rhosts", ".k5login"):
        if (home / key).exists():
            yield AuditFinding(
                "keys", f"{account.home}/{key}", Severity.CRITICAL, f"a key or trust of {name} opens this host", f"rm {account.home}/{key}"
            )
    if (home / ".forward").exists():
        yield AuditFinding(
            "mail", f"{account.home}/.forward", Severity.MEDIUM, f"mail of {name} is sent on elsewhere", f"rm {account.home}/.forward"
        )


def _twins(root: Path, name: str, account: Account | None) -> Iterator[AuditFinding]:
    for other in accounts(root):
        same_home = account is not None and other.home == account.home
        if other.name != name and ((account is not None and other.uid == account.uid) or same_home or (other.home == f"/home/{name}")):
            why = f"{other.name} is another name for {name}: same user id or same home"
            yield AuditFinding("account", other.name, Severity.CRITICAL, why, f"userdel {other.name}")


def _groups(root: Path, name: str) -> Iterator[AuditFinding]:
    for fields in _rows(root / "etc/group"):
        if len(fields) == 4 and name in fields[3].split(","):  # noqa: PLR2004 - group(5)
            powerful = fields[0] in ("sudo", "adm", "docker", "lxd", "disk", "wheel", "root", "shadow", "libvirt")
            severity = Severity.HIGH if powerful else Severity.LOW
            yield AuditFinding("groups", fields[0], severity, f"{name} is still a member of {fields[0]}", f"gpasswd -d {name} {fields[0]}")


def _foreign_keys(root: Path, name: str) -> Iterator[AuditFinding]:
    """Keys of the person in accounts of others: the comment of a key usually says whose it is."""
    for account in accounts(root):
        if account.name == name:
            continue
        for file in ("authorized_keys", "authorized_keys2"):
            path = root / account.home.lstrip("/") / ".ssh" / file
            if re.search(rf"\b{re.escape(name)}\b", _text(path)):
                why = f"a key of {name} opens the account {account.name}"
                yield AuditFinding("keys", f"{account.home}/.ssh/{file}", Severity.CRITICAL, why, "remove the line with the key")


def _mentioned(root: Path, name: str, home: str) -> Iterator[AuditFinding]:
    wanted = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])|{re.escape(home)}/")
    for area, severity, places, what, remedy in _MENTIONS:
        for path in (path for place in places for path in _files(root / place)):
            lines = [n for n, line in enumerate(_text(path).splitlines(), 1) if wanted.search(line) and not line.lstrip().startswith("#")]
            if lines:
                shown = "/" + str(path.relative_to(root))
                yield AuditFinding(area, f"{shown}:{lines[0]}", severity, f"{name} {what}: {shown} line {lines[0]}", remedy)


def _personal_files(root: Path, name: str) -> Iterator[AuditFinding]:
    places = (
        (f"var/spool/cron/crontabs/{name}", "cron", Severity.HIGH, "jobs of {0} still run", "crontab -r -u {0}"),
        (
            f"var/lib/systemd/linger/{name}",
            "units",
            Severity.HIGH,
            "units of {0} start at boot without a login",
            "loginctl disable-linger {0}",
        ),
        (f"var/mail/{name}", "mail", Severity.LOW, "a mailbox of {0} is left", "hand it over or archive it"),
    )
    for place, area, severity, why, remedy in places:
        if (root / place).exists():
            yield AuditFinding(area, f"/{place}", severity, why.format(name), remedy.format(name))


def _processes(account: Account, proc: Path) -> Iterator[AuditFinding]:
    for process in sorted(proc.glob("[0-9]*")):
        try:
            owner = process.stat().st_uid
            command = (process / "comm").read_text("utf-8", "replace").strip()
        except OSError:
            continue
        if owner == account.uid and account.uid:
            why = f"a process of {account.name} runs: {command}"
            yield AuditFinding("sessions", f"process {process.name}", Severity.CRITICAL, why, f"loginctl terminate-user {account.name}")


def _owned(root: Path, account: Account, mounts: Mounts) -> Iterator[AuditFinding]:
    home = os.path.join(root, account.home.lstrip("/"))  # noqa: PTH118 - compared with what scandir gives
    for path, status, capability in privileged(root, mounts):
        if status.st_uid == account.uid or path.startswith(home + "/"):
            shown = "/" + os.path.relpath(path, root)
            what = capability or f"mode {status.st_mode & 0o7777:04o}, owner {status.st_uid}"
            yield AuditFinding(
                "privileged files", shown, Severity.CRITICAL, f"{account.name} left a program that gives rights ({what})", f"rm {shown}"
            )


def _keys(root: Path, account: Account, allowed: tuple[str, ...]) -> Iterator[AuditFinding]:
    path = root / account.home.lstrip("/") / ".ssh/authorized_keys"
    lines = [line for line in _text(path).splitlines() if line.strip() and not line.startswith("#")]
    if lines and account.name not in allowed:
        whose = ", ".join(sorted({line.split()[-1] for line in lines}))[:120]
        yield AuditFinding(
            "keys",
            f"{account.home}/.ssh/authorized_keys",
            Severity.MEDIUM,
            f"{len(lines)} keys open {account.name}: {whose}",
            "check that each still belongs here",
        )


def _rows(path: Path) -> list[list[str]]:
    return [line.split(":") for line in _text(path).splitlines() if line and not line.startswith("#")]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else []
