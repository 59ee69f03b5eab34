"""What dpkg knows of a host: installed versions, files of packages and their MD5 sums, conffiles, diversions.

Not its job: judging changes (`packages`).
Raises: nothing for a host without dpkg (all is empty); `OSError` when its files cannot be read.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ADMIN: Final = "var/lib/dpkg"

RUN_GAP: Final = 900.0
"""Seconds of silence in the log that part two runs."""


@dataclass(frozen=True)
class Dpkg:
    """The package database below `root`."""

    root: Path

    @cached_property
    def versions(self) -> dict[str, str]:
        """Installed packages ("name" or "name:arch" as dpkg names their files) and their versions."""
        return {
            name: fields.get("Version", "") for name, fields in self._stanzas.items() if fields.get("Status", "").endswith(" installed")
        }

    @cached_property
    def _stanzas(self) -> dict[str, dict[str, str]]:
        path = self.root / ADMIN / "status"
        if not path.exists():
            return {}
        return {_name(fields): fields for fields in stanzas(path.read_text("utf-8", "replace"))}

    @cached_property
    def _automatic(self) -> frozenset[str]:
        path = self.root / "var/lib/apt/extended_states"
        found = stanzas(path.read_text("utf-8", "replace")) if path.exists() else iter(())
        return frozenset(fields["Package"] for fields in found if fields.get("Auto-Installed") == "1" and "Package" in fields)

    @cached_property
    def _needed(self) -> frozenset[str]:
        """Names that installed packages depend on or recommend."""
        fields = (self._stanzas[package] for package in self.versions)
        text = ",".join(f.get(kind, "") for f in fields for kind in ("Depends", "Pre-Depends", "Recommends"))
        return frozenset(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", text))

    def was_asked_for(self, name: str) -> bool:
        """Whether somebody asked for a package: no other one needs it, and it is no part of every system."""
        if name in self._needed:
            return False
        fields = next((f for key, f in self._stanzas.items() if key.partition(":")[0] == name), {})
        return (
            name not in self._automatic and fields.get("Priority", "optional") in ("optional", "extra") and fields.get("Essential") != "yes"
        )

    def source(self, package: str) -> str:
        """The source package that a package was built from."""
        fields = self._stanzas.get(package, {})
        return fields.get("Source", "").split(" ")[0] or package.partition(":")[0]

    def source_version(self, package: str) -> str:
        """The version of that source package, which may be numbered otherwise than what was built from it."""
        inside = self._stanzas.get(package, {}).get("Source", "").partition("(")[2].rstrip(") ")
        return inside or self.versions[package]

    def files(self, package: str) -> tuple[str, ...]:
        """Paths that belong to a package."""
        return tuple(line for line in self._info(package, "list").splitlines() if line and line != "/.")

    def sums(self, package: str) -> dict[str, str]:
        """MD5 sums (hex) of a package's files by path."""
        pairs = (line.split("  ", 1) for line in self._info(package, "md5sums").splitlines())
        return {"/" + pair[1]: pair[0] for pair in pairs if len(pair) == 2}  # noqa: PLR2004 - sum and path

    def conffiles(self, package: str) -> dict[str, str]:
        """MD5 sums of a package's configuration files as shipped."""
        return {parts[0]: parts[1] for parts in self._conffile_lines(package)}

    def obsolete_conffiles(self, package: str) -> frozenset[str]:
        """Configuration files that a package has given up or wants removed."""
        return frozenset(parts[0] for parts in self._conffile_lines(package) if parts[2:])

    def _conffile_lines(self, package: str) -> list[list[str]]:
        lines = (line.split() for line in self._stanzas.get(package, {}).get("Conffiles", "").splitlines())
        return [parts for parts in lines if len(parts) >= 2]  # noqa: PLR2004 - path and sum

    def script(self, package: str) -> str:
        """What the maintainer scripts of a package say, all together."""
        return "\n".join(self._info(package, kind) for kind in ("preinst", "postinst", "prerm", "postrm", "config", "triggers"))

    @cached_property
    def diversions(self) -> dict[str, tuple[str, str]]:
        """Where files of other packages go, and for whom, by the path they would have."""
        lines = self._lines("diversions")
        return {lines[n]: (lines[n + 1], lines[n + 2]) for n in range(0, len(lines) - 2, 3)}

    @cached_property
    def overrides(self) -> dict[str, tuple[str, str, int]]:
        """Owner, group and mode that dpkg-statoverride gives to paths."""
        parts = (line.split(" ", 3) for line in self._lines("statoverride"))
        return {p[3]: (p[0], p[1], int(p[2], 8)) for p in parts if len(p) == 4}  # noqa: PLR2004 - user, group, mode, path

    @cached_property
    def runs(self) -> tuple[tuple[float, float], ...]:
        """When dpkg worked, from and to, in seconds since the epoch, as its log tells."""
        found: list[tuple[float, float]] = []
        path = self.root / "var/log/dpkg.log"
        for line in path.read_text("utf-8", "replace").splitlines() if path.exists() else []:
            try:
                at = time.mktime(time.strptime(line[:19], "%Y-%m-%d %H:%M:%S"))
            except ValueError:
                continue
            if found and at - found[-1][1] < RUN_GAP:
                found[-1] = (found[-1][0], at)
            else:
                found.append((at, at))
        return tuple(found)

    def marks(self, package: str) -> bytes:
        """Eight bytes for each path of a package: enough to say later whose a removed file was, without keeping all the names."""
        return b"".join(path_mark(merged(self.root, path)) for path in self.files(package))

    def _lines(self, name: str) -> list[str]:
        path = self.root / ADMIN / name
        return path.read_text("utf-8", "surrogateescape").splitlines() if path.exists() else []

    def _info(self, package: str, kind: str) -> str:
        for name in (package, package.partition(":")[0]):
            path = self.root / ADMIN / "info" / f"{name}.{kind}"
            if path.exists():
                return path.read_text("utf-8", "surrogateescape")
        return ""


def path_mark(path: str) -> bytes:
    """Eight bytes that stand for a path."""
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8).digest()


def merged(root: Path, path: str) -> str:
    """The real place of a path of a package where /bin, /lib and /sbin are links into /usr."""
    top = path.split("/", 2)[1] if path.count("/") > 1 else ""
    if top in ("bin", "sbin", "lib", "lib32", "lib64", "libx32") and (root / top).is_symlink():
        return f"/usr{path}"
    return path


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """The stanzas of a control file (deb822(5)), folded lines kept as lines."""
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        last = ""
        for line in block.splitlines():
            if line[:1] in " \t":
                fields[last] = fields.get(last, "") + "\n" + line.strip()
            else:
                last, _, value = line.partition(":")
                fields[last] = value.strip()
        if fields:
            yield fields


def _name(fields: dict[str, str]) -> str:
    name = fields.get("Package", "")
    return f"{name}:{fields['Architecture']}" if fields.get("Multi-Arch") == "same" else name
