"""Whole Debian hosts in namespaces: a tree made by debootstrap with the package installed, booted by its own systemd, wired with veth pairs.

Nothing of it reaches the machine's own network: each host has a network namespace of its own, and so has the internet.
The tree is kept in /var/tmp for the next time; each host has an overlay over it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = Path("/var/tmp/gatepost-hosts")
PACKAGES = (
    "systemd,systemd-sysv,dbus,iproute2,nftables,procps,postfix,openssh-server,python3,conntrack,logrotate,netcat-openbsd,"
    "p7zip-full,libarchive13,libseccomp2,kmod"
)
BOOT = """
tree=$1; name=$2
mount --make-rprivate /
mount -t overlay overlay -o lowerdir=$3,upperdir=$4,workdir=$5 $tree || exit 99
mount -t proc proc $tree/proc
mount -t sysfs -o ro sysfs $tree/sys || exit 99
mount -t tmpfs tmpfs $tree/run; mount -t tmpfs tmpfs $tree/tmp
mount -t cgroup2 cgroup2 $tree/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $tree/dev
for device in null zero full random urandom tty; do touch $tree/dev/$device; mount --bind /dev/$device $tree/dev/$device; done
mkdir $tree/dev/shm $tree/dev/pts; mount -t tmpfs tmpfs $tree/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts $tree/dev/pts; ln -s pts/ptmx $tree/dev/ptmx
ln -s /proc/self/fd $tree/dev/fd; ln -s /proc/self/fd/0 $tree/dev/stdin; ln -s /proc/self/fd/1 $tree/dev/stdout; ln -s /proc/self/fd/2 $tree/dev/stderr
hostname $name
cd $tree; pivot_root . mnt; umount -l /mnt
exec env -i container=gatepost-lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console --show-status=no
"""


def base() -> Path:
    """The tree with the package of this checkout installed; made where it is missing, or made from another commit."""
    tree = BASE / "tree"
    if not (tree / ".made").exists():
        shutil.rmtree(tree, ignore_errors=True)
        BASE.mkdir(exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(tree), *_mirror()]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("debootstrap could not make a tree: is a mirror of Debian reachable?")
        (tree / ".made").touch()
    installed = tree / ".installed"
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    if not installed.exists() or (installed.read_text() != head and not os.environ.get("GATEPOST_KEEP_PACKAGE")):
        subprocess.run([sys.executable, ROOT / "scripts/build_deb.py"], check=True, capture_output=True)
        package = max((ROOT / "dist").glob("gatepost_*.deb"), key=lambda path: path.stat().st_mtime)
        shutil.copy(package, tree / "var/tmp/gatepost.deb")
        done = subprocess.run(["chroot", tree, "dpkg", "-i", "/var/tmp/gatepost.deb"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (tree / "var/tmp/gatepost.deb").unlink()
        installed.write_text(head)
    return tree


def _mirror() -> list[str]:
    for path in Path("/etc/apt/sources.list.d").glob("*.sources"):
        for line in path.read_text().splitlines():
            if line.startswith("URIs:"):
                return [line.split()[1]]
    return []


@dataclass
class Host:
    """One host. `addresses` are (interface, addresses with prefix), `gateway` its way out ("" for none)."""

    name: str
    interfaces: list[tuple[str, list[str]]]
    gateways: tuple[str, ...] = ()
    space: str = ""
    home: Path = field(default_factory=Path)
    process: subprocess.Popen[bytes] | None = None
    init: int = 0

    def prepare(self, prefix: str) -> None:
        self.space = f"{prefix}{self.name}"
        self.home = Path(tempfile.mkdtemp(prefix=f"gatepost-host-{self.name}-", dir="/var/tmp"))
        for part in ("tree", "upper", "work"):
            (self.home / part).mkdir()
        (self.home / "upper").chmod(0o755)
        subprocess.run(["ip", "netns", "add", self.space], check=True)
        network = self.home / "upper/etc/systemd/network"
        network.mkdir(parents=True)
        for interface, addresses in self.interfaces:
            lines = ["[Match]", f"Name={interface}", "[Network]", "IPv6AcceptRA=no", *(f"Address={one}" for one in addresses)]
            if interface == self.interfaces[0][0]:
                lines += [f"Gateway={one}" for one in self.gateways]
            (network / f"{interface}.network").write_text("\n".join(lines) + "\n")
        wants = self.home / "upper/etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True)
        (wants / "systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
        (self.home / "upper/etc/hostname").write_text(f"{self.name}\n")

    def write(self, path: str, text: str) -> None:
        place = self.home / "upper" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def boot(self, tree: Path) -> Host:
        group = Path(f"/sys/fs/cgroup/unified/{self.space}")
        if not group.parent.is_dir():
            group = Path(f"/sys/fs/cgroup/{self.space}")
        group.mkdir(exist_ok=True)
        log = (self.home / "console").open("ab")
        inside = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child", "bash", "-c", BOOT, "boot"]
        words = [str(self.home / "tree"), self.name, str(tree), str(self.home / "upper"), str(self.home / "work")]
        script = f'echo $$ > {group}/cgroup.procs; exec ip netns exec {self.space} "$@"'
        self.process = subprocess.Popen(["bash", "-c", script, "bash", *inside, *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._wait()
        return self

    def _wait(self) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            self.init = _init_below(self.process.pid if self.process else 0)
            state = self.run("systemctl is-system-running", check=False).stdout.strip() if self.init else ""
            if state in {"running", "degraded"}:
                return
            time.sleep(0.3)
        raise AssertionError(f"{self.name} did not boot\n{(self.home / 'console').read_text(errors='replace')[-3000:]}")

    def run(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the host, as root."""
        enter = ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-p", "-n", "-C"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
        done = subprocess.run([*enter, "sh", "-c", command], capture_output=True, text=True, check=False, env=environment, timeout=300)
        assert not check or done.returncode == 0, f"{self.name}: {command}\n{done.stdout}\n{done.stderr}"
        return done

    def python(self, script: str, *words: str) -> str:
        """Run a Python script on the host; gives what it printed."""
        enter = ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-p", "-n"]
        done = subprocess.run(
            [*enter, "/usr/bin/python3", "-", *words], input=script, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, f"{self.name}: {done.stderr}"
        return done.stdout

    def cut(self) -> None:
        """A power cut: everything ends at once, nothing is told."""
        if self.process is not None:
            subprocess.run(["kill", "-9", str(self.init)], check=False)
            self.process.wait(60)
            self.process = None
            # A kernel that starts anew has no rules and no interfaces of before.
            subprocess.run(["ip", "netns", "del", self.space], check=True)
            subprocess.run(["ip", "netns", "add", self.space], check=True)

    def remove(self) -> None:
        self.cut()
        subprocess.run(["ip", "netns", "del", self.space], check=False)
        shutil.rmtree(self.home, ignore_errors=True)


def _init_below(pid: int) -> int:
    """The host's first process as this machine sees it, once it is systemd."""
    seen = [pid]
    while seen:
        one = seen.pop()
        try:
            if Path(f"/proc/{one}/comm").read_text().strip() == "systemd":
                return one
            seen += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        except OSError:
            continue
    return 0


def wire(one: Host, interface: str, other: Host, its: str) -> None:
    """A cable between two hosts."""
    a, b = f"v{os.urandom(4).hex()}", f"v{os.urandom(4).hex()}"
    subprocess.run(["ip", "link", "add", a, "type", "veth", "peer", "name", b], check=True)
    for name, host, wanted in ((a, one, interface), (b, other, its)):
        subprocess.run(["ip", "link", "set", name, "netns", host.space, "name", wanted], check=True)
