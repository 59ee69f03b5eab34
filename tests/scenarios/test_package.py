"""The Debian package on a bare Debian 12 tree: it works with nothing else, and names every file that somebody changed.

Minutes long where the tree and the package must be made first: `pytest -m slow tests/scenarios/test_package.py`.
The container's entry point runs there too, since no container engine is needed for it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eicar import EICAR
from tests.support.hosts import ROOT, base

SITE = """
[site]
name = "Container"
[zones.internal]
prefixes = ["127.0.3.0/24"]
[zones.internet]
external = true
[mail]
domains = ["widget.example"]
next_hop = "127.0.0.1:2525"
relay_from = ["internal"]
[mail.milter]
listen = "unix:/run/gatepost/milter.sock"
mode = "0666"
[relay]
listen = ["127.0.0.1:25"]
"""
INSIDE = """
mount --make-rprivate /
mount -t overlay overlay -o lowerdir=$1,upperdir=$2/upper,workdir=$2/work $2/tree && mount -t proc proc $2/tree/proc || exit 99
mount -t tmpfs tmpfs $2/tree/run && mount -t tmpfs tmpfs $2/tree/tmp && mount --rbind /dev $2/tree/dev && ip link set lo up || exit 99
exec env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot $2/tree /bin/sh -c "$3"
"""
USE_IT = """
set -e
cp /var/tmp/site.toml /etc/gatepost/site.toml
/var/tmp/entrypoint >/var/tmp/log 2>&1 &
python3 -W ignore /var/tmp/sink.py &
for try in $(seq 120); do python3 -c "import socket; socket.create_connection(('127.0.0.1', 25), 1).recv(9)" 2>/dev/null && [ -S /run/gatepost/milter.sock ] && break; sleep 0.5; done
python3 /var/tmp/send.py
ps -eo user:32,args | grep '[m]ail serve' | awk '{print $1}' | sort -u
"""
SEND = f"""
import smtplib
for text in ("Subject: hello\\r\\n\\r\\nDear Bob.\\r\\n", "Subject: x\\r\\n\\r\\n" + {EICAR.decode()!r}):
    with smtplib.SMTP("127.0.0.1", 25, timeout=30) as client:
        try:
            client.sendmail("carol@partner.example", ["bob@widget.example"], text)
            print(250)
        except smtplib.SMTPResponseException as error:
            print(error.smtp_code)
"""
SINK = """
import asyncore, smtpd
class Sink(smtpd.SMTPServer):
    def process_message(self, *_, **__):
        return None
Sink(("127.0.0.1", 2525), None)
asyncore.loop()
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("as_root")]


class Tree:
    """The bare tree with the package, under an overlay of its own; each command has its own namespaces, without a network."""

    def __init__(self) -> None:
        if shutil.which("debootstrap") is None:
            pytest.skip("needs debootstrap")
        self.lower = base()
        self.home = Path(tempfile.mkdtemp(prefix="gatepost-package-", dir="/var/tmp"))
        for part in ("upper", "work", "tree"):
            (self.home / part).mkdir()
        (self.home / "upper").chmod(0o755)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        place = self.home / "upper" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        spaces = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
        return subprocess.run(
            [*spaces, "sh", "-c", INSIDE, "sh", str(self.lower), str(self.home), command],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture
def tree() -> Iterator[Tree]:
    one = Tree()
    yield one
    shutil.rmtree(one.home, ignore_errors=True)


def test_the_package_works_on_a_bare_tree_and_names_what_was_changed(tree: Tree) -> None:
    assert tree.run("gatepost --version").stdout.startswith("gatepost ")
    well = tree.run("gatepost verify-install --json")
    assert (well.returncode, json.loads(well.stdout)["wrong"]) == (0, [])
    assert tree.run("gatepost scan --help").returncode == 0
    tree.write("/etc/gatepost/site.toml", SITE)
    doctor = tree.run("gatepost doctor --json")
    assert {one["check"] for one in json.loads(doctor.stdout)["checks"]} >= {"gateway", "engine detects", "jail"}, doctor.stderr

    policy = "/usr/lib/gatepost/lib/python3.11/site-packages/gatepost/mail/decide/policy.py"
    tree.write(policy, (tree.lower / policy.lstrip("/")).read_text() + "\n# let everything pass\n")
    tree.write("/usr/lib/gatepost/lib/python3.11/site-packages/sitecustomize.py", "import os\n")
    found = tree.run("gatepost verify-install --json")

    assert found.returncode == 1
    assert json.loads(found.stdout)["wrong"] == [
        f"{policy} was changed",
        "/usr/lib/gatepost/lib/python3.11/site-packages/sitecustomize.py is not in the package",
    ]


def test_a_list_that_was_made_to_fit_is_not_believed(tree: Tree) -> None:
    manifest = "/usr/lib/gatepost/manifest.json"
    tree.write(manifest, (tree.lower / manifest.lstrip("/")).read_text().replace("policy.py", "policy.pyc", 1))

    found = tree.run("gatepost verify-install")

    assert found.returncode == 2
    assert "the list itself was changed" in found.stderr


def test_the_bill_of_materials_has_every_dependency_that_is_installed(tree: Tree) -> None:
    bill = json.loads((tree.lower / "usr/share/gatepost/sbom.cdx.json").read_text())
    site = tree.lower / "usr/lib/gatepost/lib/python3.11/site-packages"
    installed = {path.name.split("-")[0].lower().replace("_", "-").replace(".", "-") for path in site.glob("*.dist-info")} - {"gatepost"}

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert {one["name"].lower().replace("_", "-").replace(".", "-") for one in bill["components"]} == installed


def test_the_container_s_entry_point_makes_a_relay_whose_processes_have_their_users(tree: Tree) -> None:
    tree.write("/var/tmp/site.toml", SITE)
    tree.write("/var/tmp/entrypoint", (ROOT / "containers/entrypoint").read_text(), 0o755)
    tree.write("/var/tmp/send.py", SEND)
    tree.write("/var/tmp/sink.py", SINK)

    done = tree.run(USE_IT)

    lines = done.stdout.split()
    assert lines[:2] == ["250", "550"], f"{done.stdout}\n{done.stderr}\n{tree.run('cat /var/tmp/log').stdout[-3000:]}"
    assert set(lines[2:]) == {"root", *(f"gatepost-{one}" for one in ("keeper", "front", "scan", "watch"))}
