# ruff: noqa: INP001 - a script, not a package
"""Makes the Debian package and its bill of materials in dist/: `python scripts/build_deb.py [KEYFILE]`.

What it does: builds the wheel; installs it with the pinned, hash-checked dependencies below /usr/lib/gatepost for Debian's own Python;
adds users, folders and shared data; signs a list of all files; packs. Nothing is fetched when the package is installed.
KEYFILE is the release key (`gatepost integrity key FILE`); without it a key is made for this one build.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatepost import __version__
from gatepost.deploy.installed import made, sealed
from gatepost.deploy.units.compile import sysusers, tmpfiles
from gatepost.deploy.units.people import PEOPLE
from gatepost.integrity.sign import Signer, load_key
from gatepost.site.model import Site

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements/run.txt"
PREFIX = Path("usr/lib/gatepost")
PYTHON = "python3.11"
DEPENDS = "python3 (>= 3.11), python3 (<< 3.12), libarchive13, libseccomp2, systemd | adduser"
RECOMMENDS = "ca-certificates, nftables, postfix, clamav-daemon, p7zip-full, conntrack, logrotate, libpangoft2-1.0-0"
POSTINST = f"""#!/bin/sh
set -e
if [ "$1" = configure ]; then
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers gatepost.conf
        systemd-tmpfiles --create gatepost.conf || true
    else
        addgroup --system --quiet gatepost
        for user in {" ".join(one.name for one in PEOPLE)}; do
            adduser --system --quiet --group --no-create-home --home /nonexistent "$user"
            adduser --quiet "$user" gatepost
        done
    fi
    install -d -m 0755 /etc/gatepost
fi
"""
POSTRM = """#!/bin/sh
set -e
find /usr/lib/gatepost -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
"""
NOBODY = Site.model_validate({"site": {"name": "none"}, "mail": {"domains": ["example.org"], "next_hop": "localhost"}})
"""A site with the default folders."""


def run(*words: str | Path, **options: object) -> None:
    """Run a program; its failure ends this one."""
    subprocess.run(words, check=True, **options)  # type: ignore[call-overload]


def locked() -> list[tuple[str, str, list[str]]]:
    """Every dependency of the lock: name, version, hashes."""
    text = LOCK.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
    found = [(re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line), re.findall(r"--hash=sha256:([0-9a-f]{64})", line)) for line in lines]
    return [(match[1], match[2], hashes) for match, hashes in found if match]


def bill(installed: Path) -> dict[str, object]:
    """The bill of materials (CycloneDX 1.5) of what was installed from the lock."""
    there = {re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower() for path in installed.glob("*.dist-info")}
    components = [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "properties": [{"name": "gatepost:lock:sha256", "value": one} for one in hashes],
        }
        for name, version, hashes in locked()
        if re.sub(r"[-_.]+", "-", name).lower() in there
    ]
    ours = {
        "type": "application",
        "name": "gatepost",
        "version": __version__,
        "bom-ref": "gatepost",
        "licenses": [{"license": {"id": "MIT"}}],
    }
    depends = [{"ref": "gatepost", "dependsOn": [str(one["bom-ref"]) for one in components]}]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": ours},
        "components": components,
        "dependencies": depends,
    }


def wheel(folder: Path) -> Path:
    """The wheel of this tree."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    return next(folder.glob("gatepost-*.whl"))


def lay_out(tree: Path, ours: Path) -> None:
    """Everything that the package puts on a machine, but for its signed list."""
    site = tree / PREFIX / "lib" / PYTHON / "site-packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", site]
    run(*pip, "--require-hashes", "-r", LOCK)
    run(*pip, "--no-deps", ours)
    shutil.rmtree(site / "bin", ignore_errors=True)
    programs = tree / PREFIX / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(f"/usr/bin/{PYTHON}")
    (programs / "python3").symlink_to("python")
    (tree / PREFIX / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    command = f"#!/{PREFIX}/bin/python\nimport sys\nfrom gatepost.cli.main import main\nsys.exit(main())\n"
    put(programs / "gatepost", command, 0o755)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/gatepost").symlink_to(f"/{PREFIX}/bin/gatepost")
    put(tree / "usr/lib/sysusers.d/gatepost.conf", sysusers())
    put(tree / "usr/lib/tmpfiles.d/gatepost.conf", tmpfiles(NOBODY))
    share = tree / "usr/share/gatepost"
    put(share / "site.toml.example", (ROOT / "examples/widget/site.toml").read_text())
    put(share / "sbom.cdx.json", json.dumps(bill(site), indent=1) + "\n")
    put(tree / "usr/share/doc/gatepost/copyright", (ROOT / "LICENSE").read_text())


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file of the package."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def control(tree: Path) -> None:
    """What dpkg wants to know."""
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink()) // 1024
    architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
    fields = {
        "Package": "gatepost",
        "Version": __version__,
        "Architecture": architecture,
        "Maintainer": "Gatepost <gatepost@localhost>",
        "Installed-Size": str(size),
        "Depends": DEPENDS,
        "Recommends": RECOMMENDS,
        "Section": "net",
        "Priority": "optional",
        "Description": "network perimeter of an organisation: firewall, mail relay, file integrity",
    }
    put(tree / "DEBIAN/control", "".join(f"{key}: {value}\n" for key, value in fields.items()))
    put(tree / "DEBIAN/postinst", POSTINST, 0o755)
    put(tree / "DEBIAN/postrm", POSTRM, 0o755)


def main() -> None:
    """Build everything into dist/."""
    os.umask(0o022)
    signer = (
        load_key(Path(sys.argv[1]), os.environ.get("GATEPOST_PASSPHRASE", "").encode())
        if sys.argv[1:]
        else Signer(Ed25519PrivateKey.generate())
    )
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gatepost-deb-") as name:
        tree = Path(name) / "tree"
        tree.mkdir(mode=0o755)
        ours = wheel(Path(name))
        lay_out(tree, ours)
        for file, content in sealed(made(tree, __version__), signer).items():
            (tree / PREFIX / file).write_bytes(content)
        control(tree)
        shutil.copy(ours, dist)
        shutil.copy(tree / "usr/share/gatepost/sbom.cdx.json", dist / f"gatepost-{__version__}.cdx.json")
        package = dist / f"gatepost_{__version__}.deb"
        run("dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--build", tree, package, stdout=subprocess.DEVNULL)
    sys.stdout.write(f"{package}\nrelease key: {signer.public.text}\n")


if __name__ == "__main__":
    main()
