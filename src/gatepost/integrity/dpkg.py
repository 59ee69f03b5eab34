"""What dpkg knows of a host: installed versions, files of packages and their MD5 sums, conffiles, diversions.

Not its job: judging changes (`packages`).
Raises: nothing for a host without dpkg (all is empty); `OSError` when its files cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ADMIN: Final = "var/lib/dpkg"


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

    def files(self, package: str) -> tuple[str, ...]:
        """Paths that belong to a package."""
        return tuple(line for line in self._info(package, "list").splitlines() if line and line != "/.")

    def sums(self, package: str) -> dict[str, str]:
        """MD5 sums (hex) of a package's files by path."""
        pairs = (line.split("  ", 1) for line in self._info(package, "md5sums").splitlines())
        return {"/" + pair[1]: pair[0] for pair in pairs if len(pair) == 2}  # noqa: PLR2004 - sum and path

    def conffiles(self, package: str) -> dict[str, str]:
        """MD5 sums of a package's configuration files as shipped."""
        lines = (line.split() for line in self._stanzas.get(package, {}).get("Conffiles", "").splitlines())
        return {parts[0]: parts[1] for parts in lines if len(parts) >= 2}  # noqa: PLR2004 - path and sum

    @cached_property
    def diversions(self) -> dict[str, str]:
        """Where files of other packages went, by the path they would have."""
        path = self.root / ADMIN / "diversions"
        lines = path.read_text("utf-8", "surrogateescape").splitlines() if path.exists() else []
        return {lines[n]: lines[n + 1] for n in range(0, len(lines) - 2, 3)}

    def _info(self, package: str, kind: str) -> str:
        for name in (package, package.partition(":")[0]):
            path = self.root / ADMIN / "info" / f"{name}.{kind}"
            if path.exists():
                return path.read_text("utf-8", "surrogateescape")
        return ""


def installed_versions(root: Path) -> dict[str, str]:
    """Installed packages and versions; empty for a tree without dpkg."""
    return Dpkg(root).versions


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
