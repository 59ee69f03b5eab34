"""Packages against the role, pending updates, end of life, known holes.

Raises: nothing; what is not there is not judged, and lists that are missing or old are findings.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gatepost.integrity.audit.finding import AuditFinding, Severity
from gatepost.integrity.audit.roles import UNWANTED, Role
from gatepost.integrity.audit.versions import Version
from gatepost.integrity.dpkg import Dpkg, stanzas
from gatepost.integrity.lists import content, package_lists

MANY_PENDING: Final = 30
OLD_LISTS_DAYS: Final = 7

_END_OF_LIFE: Final = {
    "debian 10": "2024-06-30", "debian 11": "2026-08-31", "debian 12": "2028-06-30", "debian 13": "2030-06-30",
    "ubuntu 20.04": "2025-05-31", "ubuntu 22.04": "2027-06-01", "ubuntu 24.04": "2029-05-31", "ubuntu 26.04": "2031-05-31",
}  # fmt: skip
"""Last day of security updates, long-term support included (wiki.debian.org/LTS, wiki.ubuntu.com/Releases)."""


def extra_packages(dpkg: Dpkg, role: Role, allowed: tuple[str, ...]) -> Iterator[AuditFinding]:
    """Packages that were asked for and that the role does not need, and those that no server should have."""
    wanted = re.compile("|".join(f"(?:{name})$" for name in allowed)) if allowed else None
    for name in sorted({package.partition(":")[0] for package in dpkg.versions}):
        if wanted and wanted.match(name):
            continue
        reason = next((why for pattern, why in UNWANTED.items() if re.match(pattern, name)), "")
        if reason:
            yield AuditFinding("packages", name, Severity.HIGH, f"{name} is installed: {reason}", f"apt-get purge {name}")
        elif not role.needs(name) and dpkg.was_asked_for(name):
            why = f"{name} was installed by hand, and the role {role.name} does not need it"
            yield AuditFinding("packages", name, Severity.LOW, why, f"apt-get purge {name}, or allow it in the site file")


def pending_updates(dpkg: Dpkg, lists: Path, now: float) -> Iterator[AuditFinding]:
    """Newer versions that apt knows of, and whether it knows anything new at all."""
    files = package_lists(lists)
    if not files:
        yield AuditFinding(
            "updates", "package lists", Severity.HIGH, "apt has no lists, so nobody knows which updates are missing", "apt-get update"
        )
        return
    age = (now - max(path.stat().st_mtime for path in lists.iterdir())) / 86400
    if age > OLD_LISTS_DAYS:
        yield AuditFinding(
            "updates",
            "package lists",
            Severity.MEDIUM,
            f"the newest list of apt is {age:.0f} days old",
            "apt-get update, and a timer for it",
        )
    if not any("security" in path.name for path in files):
        why = "apt has no lists of security updates, so nobody knows which holes are mended"
        yield AuditFinding(
            "updates", "security lists", Severity.HIGH, why, "add the security archive to apt's sources, then apt-get update"
        )
    newer, secure = _newer(dpkg, files)
    for name, (installed, found) in sorted(secure.items()):
        why = f"{name} {installed} has known holes, mended in {found}"
        yield AuditFinding("updates", name, Severity.HIGH, why, f"apt-get install --only-upgrade {name}")
    if len(newer) >= MANY_PENDING:
        why = f"{len(newer)} updates are waiting; this host is not maintained"
        yield AuditFinding("updates", "pending updates", Severity.HIGH, why, "apt-get upgrade")
    elif newer:
        yield AuditFinding("updates", "pending updates", Severity.LOW, f"{len(newer)} updates are waiting", "apt-get upgrade")


def end_of_life(root: Path, today: dt.date) -> Iterator[AuditFinding]:
    """Whether the system still gets security updates."""
    release = _os_release(root)
    name = f"{release.get('ID', '')} {release.get('VERSION_ID', '')}".strip()
    end = _END_OF_LIFE.get(name) or _distro_info(root, release)
    if not end:
        yield AuditFinding(
            "updates", name or "system", Severity.LOW, "nobody here knows until when this system gets security updates", "look it up"
        )
        return
    last = dt.date.fromisoformat(end)
    if last < today:
        why = f"security updates ended on {end}, {(today - last).days} days ago"
        yield AuditFinding("updates", name, Severity.CRITICAL, why, "upgrade to a supported release")
    elif (last - today).days < 180:  # noqa: PLR2004 - half a year to plan
        yield AuditFinding("updates", name, Severity.MEDIUM, f"security updates end on {end}", "plan the upgrade")


def known_holes(dpkg: Dpkg, tracker: Mapping[str, Any], codename: str) -> Iterator[AuditFinding]:
    """Installed packages with holes that Debian's security tracker says are open or mended in a newer version."""
    sources = {dpkg.source(package): dpkg.source_version(package) for package in dpkg.versions}
    for source, version in sorted(sources.items()):
        for hole, data in sorted(tracker.get(source, {}).items()):
            here = data.get("releases", {}).get(codename, {})
            fixed = here.get("fixed_version", "")
            if here.get("status") == "resolved" and fixed not in ("", "0") and Version(version) < Version(fixed):
                yield AuditFinding(
                    "holes", f"{source} {hole}", Severity.HIGH, f"{source} {version} has {hole}, mended in {fixed}", "apt-get upgrade"
                )
            elif here.get("status") == "open" and here.get("urgency", "") == "high":
                yield AuditFinding(
                    "holes",
                    f"{source} {hole}",
                    Severity.MEDIUM,
                    f"{source} {version} has {hole}, not mended yet",
                    "watch the security tracker",
                )


def _newer(dpkg: Dpkg, files: list[Path]) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    newer: dict[str, tuple[str, str]] = {}
    secure: dict[str, tuple[str, str]] = {}
    installed = {name.partition(":")[0]: version for name, version in dpkg.versions.items()}
    for path in files:
        for fields in stanzas(content(path).decode("utf-8", "replace")):
            name, version = fields.get("Package", ""), fields.get("Version", "")
            mine = installed.get(name)
            if mine is not None and mine != version and Version(mine) < Version(version):
                newer[name] = (mine, version)
                if "security" in path.name:
                    secure[name] = (mine, version)
    return newer, secure


def codename(root: Path) -> str:
    """The code name of the release, such as bookworm."""
    return _os_release(root).get("VERSION_CODENAME", "")


def _os_release(root: Path) -> dict[str, str]:
    path = root / "etc/os-release"
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _distro_info(root: Path, release: Mapping[str, str]) -> str:
    path = root / "usr/share/distro-info" / f"{release.get('ID', 'none')}.csv"
    if not path.exists():
        return ""
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row.get("series") == release.get("VERSION_CODENAME"):
                return max(row.get(column) or "" for column in ("eol", "eol-lts", "eol-server"))
    return ""
