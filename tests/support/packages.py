"""Debian packages made by a test, and a tree of its own that dpkg works on."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

DATABASE = "var/lib/dpkg"


class Debian:
    """A tree with a package database; install, upgrade and remove packages in it with the real dpkg."""

    def __init__(self, tree: Path, workshop: Path) -> None:
        if not shutil.which("dpkg-deb"):
            pytest.skip("needs dpkg-deb and dpkg")
        self.tree, self.workshop = tree, workshop
        for folder in ("info", "updates", "triggers", "alternatives"):
            (tree / DATABASE / folder).mkdir(parents=True, exist_ok=True)
        (tree / DATABASE / "status").touch()
        (tree / "var/log").mkdir(parents=True, exist_ok=True)
        (tree / "etc").mkdir(exist_ok=True)

    def build(
        self, name: str, version: str, files: dict[str, bytes], *, modes: dict[str, int] | None = None, conffiles: tuple[str, ...] = ()
    ) -> Path:
        """A package with these files; sums are added as debhelper does."""
        source = self.workshop / f"{name}-{version}"
        for path, data in files.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(data)
            (source / path).chmod((modes or {}).get(path, 0o644))
        control = source / "DEBIAN"
        control.mkdir()
        text = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: test <test@example.org>\nDescription: test\n"
        (control / "control").write_text(text)
        (control / "conffiles").write_text("".join(f"/{path}\n" for path in conffiles))
        sums = (
            subprocess.run(["md5sum", *sorted(set(files) - set(conffiles))], cwd=source, capture_output=True, check=True).stdout
            if set(files) - set(conffiles)
            else b""
        )
        (control / "md5sums").write_bytes(sums)
        package = self.workshop / f"{name}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", source, package], check=True, capture_output=True)
        return package

    def install(self, *packages: Path, remove: tuple[str, ...] = ()) -> None:
        """Run dpkg on the tree."""
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        how = ["dpkg", f"--root={self.tree}", "--force-script-chrootless", "--force-confold", f"--log={self.tree}/var/log/dpkg.log"]
        for arguments in (["-i", *map(str, packages)] if packages else [], ["-P", *remove] if remove else []):
            if arguments:
                subprocess.run([*how, *arguments], check=True, capture_output=True, env=environment, stdin=subprocess.DEVNULL)
        time.sleep(0.01)
