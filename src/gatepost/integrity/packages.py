"""Changes that dpkg made, explained package by package.

A change counts as a package's only if that package was installed, upgraded or removed since the baseline, and the content is the one that
the package says, by its MD5 sums (the list of conffiles for configuration). A file of a package that did not change version is
never explained, nor is a right that goes beyond what the package had: setuid, capabilities, other owners.
MD5 stands up to somebody who must hit a given sum; the sums themselves are watched, and change only with their package.
Not its job: files that maintainer scripts make (`maintainer`).
Raises: nothing; what cannot be read is not explained.
"""

from __future__ import annotations

import hashlib
import os
import stat
from functools import cached_property
from pathlib import Path
from typing import Final

from gatepost.integrity import attributes as at
from gatepost.integrity.archive import archived
from gatepost.integrity.compare import Change, ChangeKind
from gatepost.integrity.dpkg import ADMIN, Dpkg, merged, path_mark
from gatepost.integrity.entry import Entry, path_of
from gatepost.integrity.examine import ALGORITHMS
from gatepost.integrity.expected import Explanation
from gatepost.integrity.maintainer import Maintainer

RIGHTS: Final = at.MODE | at.UID | at.GID | at.ACL | at.CAPABILITIES | at.XATTRS | at.FLAGS
_LEFTOVERS: Final = (".dpkg-old", ".dpkg-dist", ".dpkg-new", ".dpkg-bak", ".ucf-old", ".ucf-dist")


def moved_packages(former: dict[str, str], present: dict[str, str]) -> dict[str, str]:
    """Each package that was installed, upgraded or removed, with its versions in words."""
    words = {}
    for name in sorted(former.keys() | present.keys()):
        before, after = former.get(name), present.get(name)
        if before != after:
            words[name] = f"{before} to {after}" if before and after else f"installed {after}" if after else f"removed {before}"
    return words


class Packages:
    """Explains changes below `root` by what dpkg did since the baseline. `former` and `owned` stand in its manifest."""

    def __init__(self, root: Path, former: dict[str, str], owned: dict[str, bytes], algorithm: str) -> None:
        self._root = root
        self._dpkg = Dpkg(root)
        self._moved = moved_packages(former, self._dpkg.versions) if former else {}
        self._owned = owned
        self._algorithm = algorithm
        self._maintainer = Maintainer(self._dpkg, tuple(self._moved), algorithm)

    def explain(self, change: Change) -> Explanation | None:
        """See Explainer."""
        if not self._moved or change.kind in (ChangeKind.UNCHECKED, ChangeKind.FORBIDDEN):
            return None
        path = os.fsdecode(path_of(change.key))
        package = self._package_of(path, change)
        if package is not None:
            return self._by(package)
        if path in self._paths:
            return None
        gone = change.old if change.new is None else None
        made = self._maintainer.removed(path, gone) if gone is not None else self._maintainer.explain(path, change)
        return self._by(made[0]) if made and made[0] in self._moved else Explanation("maintainer scripts", made[1]) if made else None

    def _by(self, package: str) -> Explanation:
        return Explanation(f"package {package}", self._moved[package])

    def _package_of(self, path: str, change: Change) -> str | None:
        """The package that explains a change of one of its own files, or of dpkg's record of it."""
        if change.new is None:
            return self._removed.get(path_mark(path)) or self._lost_record_of(path)
        record = self._record_of(path)
        if record is not None:
            return record
        if path not in self._paths:
            return self._leftover(path, change.new)
        new = change.new
        return next((p for p in self._paths[path] if self._content_fits(p, path, new) and self._rights_fit(change, path, p)), None)

    def _record_of(self, path: str) -> str | None:
        """The package whose scripts and lists in dpkg's own folder these are."""
        folder, _, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        return next((p for p in (stem, stem.partition(":")[0]) if p in self._moved), None) if folder == f"/{ADMIN}/info" else None

    def _lost_record_of(self, path: str) -> str | None:
        """The same for what is gone there: everything of a package that is gone, but never the list and the sums of one that is there."""
        package = self._record_of(path)
        return package if package not in self._dpkg.versions or not path.endswith((".list", ".md5sums")) else None

    def _content_fits(self, package: str, path: str, new: Entry) -> bool:
        if stat.S_ISDIR(new.stat.mode):
            return True
        if stat.S_ISLNK(new.stat.mode):
            return self._target_fits(package, path, new)
        wanted = {
            self._sums[package].get(path),
            self._conffiles[package].get(path),
            self._sums[package].get(self._undiverted.get(path, "")),
        } - {None}
        return self._md5(new) in wanted

    def _target_fits(self, package: str, path: str, new: Entry) -> bool:
        """A link of a package: its target is the archive's; without an archive it must at least lead to something, as md5sums do not say."""
        version = self._dpkg.versions[package]
        known = [found.link for form in (path, path.removeprefix("/usr")) if (found := archived(self._root, package, version, form))]
        if known:
            return os.fsdecode(new.link) in known
        target = os.path.normpath(os.path.join(os.path.dirname(path), os.fsdecode(new.link)))  # noqa: PTH118, PTH120 - lexical, below another root
        return os.path.lexists(f"{self._root}{target}") or target.startswith(("/proc/", "/dev/", "/run/"))

    def _rights_fit(self, change: Change, path: str, package: str) -> bool:
        new = change.new
        assert new is not None
        if change.kind is ChangeKind.CHANGED and not change.attributes & RIGHTS:
            return True
        writable = 0o002 if new.stat.gid == 0 else 0o022
        plain = new.stat.uid == 0 and not new.stat.mode & (0o6000 | writable) and not new.xattrs
        plain = plain or stat.S_ISLNK(new.stat.mode)
        return plain or self._maintainer.grants(path, package, new)

    def _leftover(self, path: str, new: Entry) -> str | None:
        """A copy that dpkg or ucf put beside a conffile."""
        for suffix in _LEFTOVERS:
            base = path.removesuffix(suffix)
            if base != path and base in self._paths:
                return next((p for p in self._paths[base] if self._md5(new) in self._known_sums(p, base)), None)
        return None

    def _known_sums(self, package: str, path: str) -> set[str]:
        return {s for s in (self._conffiles[package].get(path), self._sums[package].get(path)) if s}

    def _md5(self, new: Entry) -> str:
        """MD5 of the file, if it is still the one that the check saw."""
        if not new.is_file:
            return ""
        try:
            data = Path(os.fsdecode(os.fsencode(self._root) + path_of(new.key))).read_bytes()
        except OSError:
            return ""
        seen = ALGORITHMS[self._algorithm](data).digest()
        return hashlib.md5(data, usedforsecurity=False).hexdigest() if seen == new.digest else ""

    @cached_property
    def _paths(self) -> dict[str, list[str]]:
        """Paths of all packages that moved and are there, with those packages (a directory may have many); diverted files under their new name."""
        paths: dict[str, list[str]] = {}
        for package in self._moved:
            files = (merged(self._root, self._diverted(package, path)) for path in self._dpkg.files(package))
            for path in {*files, *self._dpkg.conffiles(package)}:
                paths.setdefault(path, []).append(package)
        return paths

    def _diverted(self, package: str, path: str) -> str:
        target, owner = self._dpkg.diversions.get(path, (path, package))
        return path if owner == package.partition(":")[0] else target

    @cached_property
    def _undiverted(self) -> dict[str, str]:
        return {target: path for path, (target, _) in self._dpkg.diversions.items()}

    @cached_property
    def _sums(self) -> dict[str, dict[str, str]]:
        return {p: {merged(self._root, path): s for path, s in self._dpkg.sums(p).items()} for p in self._moved}

    @cached_property
    def _conffiles(self) -> dict[str, dict[str, str]]:
        return {p: self._dpkg.conffiles(p) for p in self._moved}

    @cached_property
    def _removed(self) -> dict[bytes, str]:
        """Marks of paths that belonged to packages that moved, and belong to nobody any more."""
        marks = {marks[n : n + 8]: p for p in self._moved for marks in (self._owned.get(p, b""),) for n in range(0, len(marks), 8)}
        for path, packages in self._paths.items():
            if any(path not in self._dpkg.obsolete_conffiles(package) for package in packages):
                marks.pop(path_mark(path), None)
        return marks
