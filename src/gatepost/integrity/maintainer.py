"""Files that maintainer scripts make when packages come and go: links, caches, accounts. Each is checked for what it is, not for its name only.

Only what changed while dpkg worked (by its log) is looked at. Where the content follows from something else it must follow: an
alternative must be one of those on offer, the linker's cache must name libraries in the right places, an account file must be the former
one with locked system accounts at its end.
Raises: nothing; what cannot be read is not explained.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import marshal
import os
import re
import stat
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Final, NamedTuple

from gatepost.integrity import attributes as at
from gatepost.integrity.archive import archived
from gatepost.integrity.compare import CAPABILITY_NAME, Change
from gatepost.integrity.dpkg import ADMIN, Dpkg
from gatepost.integrity.entry import Entry
from gatepost.integrity.examine import ALGORITHMS

_AFTER: Final = 90.0
"""Seconds after the last line of dpkg's log in which triggers of apt may still write."""

_ACCOUNTS: Final = 40
"""System accounts that one run of dpkg may add."""

_SOURCE_MAGIC: Final = importlib.util.MAGIC_NUMBER

_CACHES: Final = (
    (r"/boot/(initrd\.img|grub/|vmlinuz|System\.map|config)", "boot files rebuilt by maintainer scripts; their content cannot be verified"),
    (r"/usr/lib/modules/[^/]+/modules\.", "module lists rebuilt by depmod"),
    (r"/usr/share/(mime/|icons/[^/]+/icon-theme\.cache|applications/mimeinfo\.cache|info/dir)", "desktop caches rebuilt by triggers"),
    (r"/usr/(share/glib-2\.0/schemas/gschemas\.compiled|lib/.*/(giomodule|loaders)\.cache|lib/.*/gconv-modules\.cache)", "library caches rebuilt by triggers"),
    (r"/usr/lib/locale/(locale-archive|C\.utf8)", "locales rebuilt by triggers"),
    (r"/etc/(ssl/certs|ca-certificates\.conf|java|fonts/conf\.d)(/|$)", "certificate and font lists rebuilt by triggers"),
    (r"/var/log/(dpkg|alternatives|apt/|fontconfig|bootstrap)", "logs of the package tools"),
    (r"/var/lib/(systemd/deb-systemd-|ucf/|dpkg/(info/format|diversions|statoverride))", "records of the package tools"),
    (r"/usr/lib/udev/hwdb\.bin$", "hardware database rebuilt by systemd-hwdb"),
    (r"/usr/share/emacs/.*\.elc$", "Emacs files compiled by packages"),
    (r"/etc/xml(/|$)", "XML catalogues kept by update-xmlcatalog"),
    (r"/usr/share/(perl5/XML/SAX/ParserDetails|fonts/.*\.uuid)", "caches rebuilt by triggers"),
)  # fmt: skip

_REWRITTEN: Final = at.MTIME | at.CTIME | at.INODE | at.BLOCKS

_GRANTING: Final = re.compile(r"\b(chmod|chown|chgrp|setcap|install|dpkg-statoverride)\b")

Found = tuple[str, str]


class _Handler(NamedTuple):
    pattern: re.Pattern[str]
    explain: Callable[[str, Entry, Change], Found | None]


class Maintainer:
    """Explains what scripts of `packages`, those that moved since the baseline, may have made."""

    def __init__(self, dpkg: Dpkg, packages: tuple[str, ...], algorithm: str) -> None:
        self._new_hash = ALGORITHMS[algorithm]
        self._dpkg = dpkg
        self._root = dpkg.root
        self._packages = packages
        self._handlers = tuple(
            _Handler(re.compile(pattern), explain)
            for pattern, explain in (
                (r"", self._same_content),
                (r"^/etc/ld\.so\.cache$", self._linker_cache),
                (r"^/etc/alternatives/[^/]+$", self._alternative),
                (rf"^/{ADMIN}/alternatives/[^/]+$", self._offers),
                (r"^/etc/systemd/(system|user)/", self._unit_link),
                (r"^/etc/rc[0-6S]\.d/[SK][0-9]{2}[^/]+$", self._run_level),
                (r"/__pycache__(/[^/]+\.pyc)?$", self._compiled),
                (r"^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$", self._accounts),
                (r"", self._through_alternative),
                (r"", self._ucf),
                (r"", self._cache),
                (r"^/etc/pam\.d/common-", self._pam),
                (r"^/etc/shells$", self._shells),
                (r"", self._link_to_own),
                (r"", self._temporary_files),
                (r"", self._copy),
                (r"", self._script),
            )
        )

    def explain(self, path: str, change: Change) -> Found | None:
        """The package (or a word for several) that made `path` what it is, and what shows it."""
        new = change.new
        powerful = new is not None and new.is_file and (new.stat.mode & 0o6002 or any(name == CAPABILITY_NAME for name, _ in new.xattrs))
        if new is None or powerful or not self._in_a_run(new.stat.ctime / 1e9):
            return None
        return next(
            (found for handler in self._handlers if handler.pattern.search(path) and (found := handler.explain(path, new, change))), None
        )

    def removed(self, path: str, old: Entry) -> Found | None:
        """Why something is gone that no package owned: a link that would lead nowhere, an alternative, a compiled file without its source."""
        if old.link and not self._exists(_target(path, old)):
            return "", "dead links removed"
        if path.startswith(f"/{ADMIN}/alternatives/") and not self._exists(f"/etc/alternatives/{path.rpartition('/')[2]}"):
            return "", "alternatives removed with the last that was on offer"
        if "__pycache__" not in path:
            return None
        folder, _, name = path.partition("/__pycache__")
        source = f"{folder}/{name.strip('/').split('.')[0]}.py" if name else folder
        return None if self._exists(source) else ("", "compiled files removed with their sources")

    def grants(self, path: str, package: str, new: Entry) -> bool:
        """Whether a package itself, or the administrator by dpkg-statoverride, gives a path rights beyond the plain ones."""
        forms = _forms(path)
        version, mode = self._dpkg.versions.get(package, ""), stat.S_IMODE(new.stat.mode)
        known = [found[:3] for form in forms if (found := archived(self._root, package, version, form))]
        if (mode, new.stat.uid, new.stat.gid) in known and not new.xattrs:
            return True
        if any(self._dpkg.overrides.get(form, ("", "", -1))[2] == mode for form in forms):
            return True
        script = self._dpkg.script(package)
        return bool(_GRANTING.search(script)) and any(form in script for form in forms)

    def _in_a_run(self, at: float) -> bool:
        return any(start - 2 <= at <= end + _AFTER for start, end in self._dpkg.runs)

    def _read(self, path: str) -> bytes:
        try:
            return Path(f"{self._root}{path}").read_bytes()
        except OSError:
            return b""

    def _exists(self, path: str) -> bool:
        return os.path.lexists(f"{self._root}{path}")

    def _linker_cache(self, path: str, _new: Entry, _change: Change) -> Found | None:
        """Each library that the cache names must be there, in a folder that the linker's configuration names."""
        libraries = [found.decode("utf-8", "replace") for found in re.findall(rb"(/[^\0\n]+\.so[^\0\n]*)\0", self._read(path))]
        folders = {"/lib", "/usr/lib", "/lib64", "/usr/lib64", "/lib32", "/usr/lib32", "/libx32", "/usr/libx32", *self._library_folders()}
        good = bool(libraries) and all(os.path.dirname(lib) in folders and self._exists(lib) for lib in libraries)  # noqa: PTH120 - another root
        return ("", "linker cache rebuilt by ldconfig; each library in it is in its place") if good else None

    def _library_folders(self) -> list[str]:
        texts = [self._read("/etc/ld.so.conf")]
        texts += [self._read(f"/etc/ld.so.conf.d/{p.name}") for p in sorted((self._root / "etc/ld.so.conf.d").glob("*.conf"))]
        lines = b"\n".join(texts).decode("utf-8", "replace").splitlines()
        folders = [line.strip() for line in lines if line.startswith("/")]
        return [form for folder in folders for form in (folder, f"{folder}/glibc-hwcaps/x86-64-v3", f"{folder}/glibc-hwcaps/x86-64-v2")]

    def _alternative(self, path: str, new: Entry, _change: Change) -> Found | None:
        target = os.fsdecode(new.link)
        offers = self._read(f"/{ADMIN}/alternatives/{path.rpartition('/')[2]}").decode("utf-8", "replace").splitlines()
        offered = target in offers or target in self._alternative_links
        return ("", "alternatives set by update-alternatives to what packages offer") if offered and self._exists(target) else None

    def _through_alternative(self, path: str, new: Entry, _change: Change) -> Found | None:
        """A link such as /usr/bin/editor that leads to /etc/alternatives/editor."""
        target = os.fsdecode(new.link)
        good = target.startswith("/etc/alternatives/") and self._exists(target) and bool(_forms(path) & self._alternative_links)
        return ("", "alternatives set by update-alternatives to what packages offer") if good else None

    @cached_property
    def _alternative_links(self) -> set[str]:
        return {line for p in (self._root / ADMIN / "alternatives").glob("*") for line in p.read_text("utf-8", "replace").splitlines()}

    def _offers(self, path: str, _new: Entry, _change: Change) -> Found | None:
        """The record of an alternative: what it offers must be there."""
        lines = self._read(path).decode("utf-8", "replace").splitlines()
        offers = [line for line in lines[2:] if line.startswith("/") and "/man/" not in line]
        return ("", "alternatives set by update-alternatives to what packages offer") if any(self._exists(o) for o in offers) else None

    def _unit_link(self, path: str, new: Entry, _change: Change) -> Found | None:
        """A unit that a package enabled, or a folder for such links."""
        if new.is_directory:
            return ("", "units enabled by packages") if path.endswith((".wants", ".requires")) else None
        target = os.fsdecode(new.link)
        units = (f"/usr/lib/systemd/{kind}/" for kind in ("system", "user"))
        real = f"/usr{target}" if target.startswith("/lib/") else target
        return ("", "units enabled by packages") if real.startswith(tuple(units)) and self._owner(target) else None

    def _owner(self, path: str) -> str | None:
        """The moved package that has `path`, with or without /usr before it."""
        return next((self._owners[form] for form in _forms(path) if form in self._owners), None)

    @cached_property
    def _owners(self) -> dict[str, str]:
        return {path: package for package in self._packages for path in self._dpkg.files(package)}

    def _run_level(self, path: str, new: Entry, _change: Change) -> Found | None:
        target = os.fsdecode(new.link)
        name = re.sub(r"^.*/[SK][0-9]{2}", "", path)
        good = target == f"../init.d/{name}" and self._exists(f"/etc/init.d/{name}")
        return ("", "run level links set by update-rc.d") if good else None

    def _compiled(self, path: str, new: Entry, _change: Change) -> Found | None:
        """Compiled Python: its header must name the source as it is now, and its content must be what the source compiles to."""
        why = "Python files compiled by packages, each fits its source"
        if new.is_directory:
            return "", why
        folder, name = path.rsplit("/__pycache__/", 1)
        source = f"{folder}/{name.split('.')[0]}.py"
        data = self._read(path)
        try:
            found = Path(f"{self._root}{source}").stat()
        except OSError:
            return None
        header = int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little")
        fits = header == (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF) and data[4:8] == bytes(4)
        return ("", why) if fits and self._compiles_to(source, data) else None

    def _compiles_to(self, source: str, data: bytes) -> bool:
        """Whether a file of our own Python version has the code of its source. Files of other versions are judged by their header."""
        if data[:4] != _SOURCE_MAGIC:
            return True
        try:
            code: CodeType = compile(self._read(source), source, "exec", dont_inherit=True, optimize=-1)
        except (SyntaxError, ValueError):
            return False
        return same_code(data[16:], code)

    def _accounts(self, path: str, _new: Entry, change: Change) -> Found | None:
        """The former file with system accounts added at its end; a backup is one of the stages in between."""
        old = change.old
        data = self._read(path)
        lines = data.splitlines(keepends=True)
        why = "system accounts and groups added by packages"
        if path.endswith("-"):
            main = self._read(path.removesuffix("-"))
            return ("", why) if data and main.startswith(data) else None
        if old is None:
            return None
        for count in range(1, min(_ACCOUNTS, len(lines))):
            if self._new_hash(b"".join(lines[:-count])).digest() == old.digest:
                return ("", why) if all(_harmless(path, line.decode("utf-8", "replace")) for line in lines[-count:]) else None
        return None

    def _ucf(self, path: str, _new: Entry, _change: Change) -> Found | None:
        """A configuration file that ucf keeps: its MD5 sum as the package gave it."""
        known = self._read("/var/lib/ucf/hashfile").decode("utf-8", "replace")
        md5 = hashlib.md5(self._read(path), usedforsecurity=False).hexdigest()
        return ("", "configuration kept by ucf, as its package gives it") if f"{md5}  {path}" in known.splitlines() else None

    def _cache(self, path: str, _new: Entry, _change: Change) -> Found | None:
        return next((("", why) for pattern, why in _CACHES if re.match(pattern, path)), None)

    def _same_content(self, _path: str, new: Entry, change: Change) -> Found | None:
        """A file that was written again as it was."""
        old = change.old
        same = old is not None and new.is_file and old.digest == new.digest != b"" and not change.attributes & ~_REWRITTEN
        return ("", "files written again with the content they had") if same else None

    def _link_to_own(self, path: str, new: Entry, _change: Change) -> Found | None:
        """A link to a file of a moved package, or a unit that its script masks."""
        if not new.link:
            return None
        target = _target(path, new)
        owner = self._owner(target)
        return (owner, "links to its own files") if owner and self._exists(target) else None

    def _pam(self, path: str, _new: Entry, _change: Change) -> Found | None:
        """What pam-auth-update writes: each module in it is one that a package's profile asks for."""
        profiles = b"\n".join(p.read_bytes() for p in (self._root / "usr/share/pam-configs").glob("*"))
        modules = set(re.findall(rb"^[^#\n]*?\b(pam_\w+\.so)", self._read(path), re.MULTILINE))
        good = modules and all(module in profiles or module in (b"pam_permit.so", b"pam_deny.so") for module in modules)
        return ("", "PAM modules put together by pam-auth-update from packages' profiles") if good else None

    def _shells(self, path: str, _new: Entry, _change: Change) -> Found | None:
        lines = self._read(path).decode("utf-8", "replace").splitlines()
        good = all(line.startswith("#") or self._exists(line) for line in lines if line)
        return ("", "list of shells kept by update-shells; each is there") if good else None

    def _temporary_files(self, path: str, new: Entry, _change: Change) -> Found | None:
        """What systemd-tmpfiles makes by the settings that packages bring (tmpfiles.d(5))."""
        for kind, target in self._tmpfiles.get(path, ()):
            if (
                (kind in "dDvqQ" and new.is_directory)
                or (kind == "L" and os.fsdecode(new.link) == target)
                or (kind == "f" and not new.stat.size)
            ):
                return "", "made by systemd-tmpfiles as packages ask"
        return None

    @cached_property
    def _tmpfiles(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for file in sorted((self._root / "usr/lib/tmpfiles.d").glob("*.conf")):
            for line in file.read_text("utf-8", "replace").splitlines():
                fields = line.split(None, 6)
                if len(fields) > 1 and not line.startswith("#"):
                    found.setdefault(fields[1], []).append((fields[0][0], fields[6] if len(fields) > 6 else ""))  # noqa: PLR2004 - tmpfiles.d(5)
        return found

    def _copy(self, path: str, new: Entry, _change: Change) -> Found | None:
        """A copy of a file that a moved package has elsewhere."""
        if not new.is_file or not new.stat.size:
            return None
        package = self._contents.get(hashlib.md5(self._read(path), usedforsecurity=False).hexdigest())
        return (package, "copies of its own files") if package else None

    @cached_property
    def _contents(self) -> dict[str, str]:
        return {md5: package for package in self._packages for md5 in self._dpkg.sums(package).values()}

    def _script(self, path: str, _new: Entry, _change: Change) -> Found | None:
        """A file, or the public half of a key, that the script of a moved package names in full."""
        forms = "|".join(re.escape(form) for form in sorted(_forms(path.removesuffix(".pub"))))
        named = re.compile(rf"(?<![\w/.-])({forms})(?![\w/-])")
        package = next((p for p in self._packages if named.search(self._dpkg.script(p))), None)
        return (package, "named in its maintainer script") if package else None


def _target(path: str, entry: Entry) -> str:
    """Where a link leads, worked out from its text alone, as the tree may be that of another host."""
    return os.path.normpath(os.path.join(os.path.dirname(path), os.fsdecode(entry.link)))  # noqa: PTH118, PTH120 - lexical


def _forms(path: str) -> set[str]:
    """A path with and without /usr before it."""
    return {path, path.removeprefix("/usr")}


def same_code(marshalled: bytes, code: CodeType) -> bool:
    """Whether marshalled code equals `code`, but for the name of its file. It is loaded in a child, since bad data can crash the interpreter."""
    child = os.fork()
    if not child:
        same = False
        with contextlib.suppress(ValueError, EOFError, TypeError, MemoryError):
            same = marshal.loads(marshalled) == code  # noqa: S302 - in a child, and only compared
        os._exit(0 if same else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _harmless(path: str, line: str) -> bool:
    """Whether a line added to an account file is a locked system account or a group."""
    fields = line.rstrip("\n").split(":")
    name = path.rpartition("/")[2]
    if name == "passwd":
        return len(fields) == 7 and fields[2].isdigit() and 0 < int(fields[2]) < 1000 and fields[6] in _NO_SHELLS  # noqa: PLR2004 - passwd(5), adduser.conf(5)
    if name in ("shadow", "gshadow"):
        return len(fields) > 1 and fields[1][:1] in ("!", "*")
    return name == "group" and len(fields) == 4 and fields[2].isdigit() and 0 < int(fields[2]) < 1000 and not fields[3]  # noqa: PLR2004 - group(5)


_NO_SHELLS: Final = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync")
