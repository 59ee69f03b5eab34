"""The audit of a host finds what should not be there, and everything that one person left."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost.integrity.audit import exposure, people, software
from gatepost.integrity.audit.exposure import Listener
from gatepost.integrity.audit.finding import Severity
from gatepost.integrity.audit.host import Host, audit, offboard
from gatepost.integrity.audit.roles import ROLES
from gatepost.integrity.audit.versions import Version
from gatepost.integrity.dpkg import Dpkg
from gatepost.integrity.mounts import Mounts
from gatepost.site.integrity import Allowed

NO_MOUNTS = Mounts({}, frozenset(), frozenset())
NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp()


def _put(root: Path, path: str, text: str = "", mode: int = 0o644) -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)
    return target


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small Debian 12 with nothing wrong."""
    _put(tmp_path, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n")
    _put(tmp_path, "etc/shadow", "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n")
    _put(tmp_path, "etc/group", "root:x:0:\nsudo:x:27:\n")
    _put(tmp_path, "etc/os-release", 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    status = "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\nPriority: required\n"
    _put(tmp_path, "var/lib/dpkg/status", status)
    _put(tmp_path, "var/lib/apt/lists/main_Packages", "Package: libc6\nVersion: 2.36-9\n")
    _put(tmp_path, "var/lib/apt/lists/security_Packages")
    for name in ("main", "security"):
        os.utime(tmp_path / f"var/lib/apt/lists/{name}_Packages", (NOW, NOW))
    return tmp_path


def _host(root: Path, role: str = "firewall", **allowed: tuple[str, ...]) -> Host:
    return Host(root, role, Allowed(**allowed), NOW, live=False)


def _install(root: Path, name: str, version: str = "1", source: str = "") -> None:
    with (root / "var/lib/dpkg/status").open("a") as file:
        file.write(
            f"\nPackage: {name}\nStatus: install ok installed\nVersion: {version}\nPriority: optional\n"
            + (f"Source: {source}\n" if source else "")
        )


def test_nothing_is_found_on_a_host_as_it_should_be(root: Path) -> None:
    assert audit(_host(root)) == []


def _add_user(root: Path, name: str, uid: int = 1001, shell: str = "/bin/bash", password: str = "$y$hash") -> None:
    with (root / "etc/passwd").open("a") as file:
        file.write(f"{name}:x:{uid}:{uid}::/home/{name}:{shell}\n")
    with (root / "etc/shadow").open("a") as file:
        file.write(f"{name}:{password}:19000:0:99999:7:::\n")


LEFTOVERS = {
    "account": lambda r: None,
    "key": lambda r: _put(r, "home/joe/.ssh/authorized_keys", "ssh-ed25519 AAAA joe@laptop\n"),
    "key of root": lambda r: _put(r, "root/.ssh/authorized_keys", "ssh-ed25519 AAAA joe@laptop\n"),
    "crontab": lambda r: _put(r, "var/spool/cron/crontabs/joe", "* * * * * /home/joe/x\n"),
    "system cron": lambda r: _put(r, "etc/cron.d/backup", "0 3 * * * joe /usr/local/bin/backup\n"),
    "sudo": lambda r: _put(r, "etc/sudoers.d/admins", "joe ALL=(ALL) NOPASSWD: ALL\n"),
    "setuid": lambda r: (
        (_put(r, "usr/local/bin/.helper", "x", 0o4755) and os.chown(r / "usr/local/bin/.helper", 1001, 1001))
        or (r / "usr/local/bin/.helper").chmod(0o4755)
    ),
    "unit": lambda r: _put(r, "etc/systemd/system/sync.service", "[Service]\nExecStart=/home/joe/sync\n"),
    "second account": lambda r: _add_user(r, "backup2", 1001),
    "group": lambda r: _put(r, "etc/group", "root:x:0:\nsudo:x:27:joe\n"),
    "linger": lambda r: _put(r, "var/lib/systemd/linger/joe"),
    "alias": lambda r: _put(r, "etc/aliases", "postmaster: joe\n"),
    "setuid shell in home": lambda r: _put(r, "home/joe/.x", "x", 0o4755),
    "sshd": lambda r: _put(r, "etc/ssh/sshd_config", "AllowUsers joe\n"),
}


def test_all_leftovers_of_a_former_administrator_are_found(as_root: None, root: Path) -> None:
    _add_user(root, "joe")
    before = len(offboard(_host(root), "joe"))
    for number, (name, plant) in enumerate(LEFTOVERS.items()):
        plant(root)
        found = offboard(_host(root), "joe")
        assert len(found) == before + number, name

    assert {f.remedy != "" for f in found} == {True}


def test_names_that_only_contain_the_name_are_not_meant(root: Path) -> None:
    _add_user(root, "joe")
    _put(root, "etc/sudoers.d/admins", "joelle ALL=(ALL) ALL\n# joe was here\n")
    _put(root, "etc/aliases", "postmaster: joe-marie\n")

    assert {f.area for f in offboard(_host(root), "joe")} == {"account"}


def test_a_locked_account_without_anything_left_is_clean(root: Path) -> None:
    _add_user(root, "joe", shell="/usr/sbin/nologin", password="!")

    assert offboard(_host(root), "joe") == []


def test_a_session_is_found(as_root: None, root: Path) -> None:
    _add_user(root, "joe")
    process = _put(root, "proc/4242/comm", "bash\n").parent
    os.chown(process, 1001, 1001)

    assert "sessions" in {f.area for f in offboard(_host(root), "joe")}


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("toor:x:0:0::/root:/bin/sh", Severity.CRITICAL),
        ("open::1001:1001::/home/open:/bin/sh", Severity.CRITICAL),
        ("joe:x:1001:1001::/home/joe:/bin/sh", Severity.MEDIUM),
    ],
)
def test_accounts_that_should_not_be_there_are_found(root: Path, line: str, severity: Severity) -> None:
    with (root / "etc/passwd").open("a") as file:
        file.write(line + "\n")

    assert severity in {f.severity for f in audit(_host(root)) if f.area == "accounts"}


def test_packages_beyond_the_role_are_found_unless_allowed(root: Path) -> None:
    for name in ("apache2", "rpcbind", "nftables"):
        _install(root, name)

    assert {f.subject: f.severity for f in audit(_host(root))} == {"apache2": Severity.LOW, "rpcbind": Severity.HIGH}
    assert audit(_host(root, packages=("apache2", "rpc.*"))) == []


@pytest.mark.parametrize(
    ("port", "severity"), [("111/tcp", Severity.CRITICAL), ("2049/tcp", Severity.CRITICAL), ("8080/tcp", Severity.HIGH)]
)
def test_listeners_beyond_the_role_are_found(port: str, severity: Severity) -> None:
    found = [Listener(port, "0.0.0.0", "x"), Listener("22/tcp", "::", "sshd"), Listener(port, "127.0.0.1", "x"), Listener(port, "::1", "x")]

    assert [f.severity for f in exposure.extra_listeners(found, ROLES["firewall"], ())] == [severity]
    assert not list(exposure.extra_listeners(found, ROLES["firewall"], (port,)))


def test_real_listening_sockets_are_read_from_proc() -> None:
    import socket

    with socket.socket() as one, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as two:
        one.bind(("127.0.0.1", 0))
        one.listen()
        two.bind(("::1", 0))
        found = {(x.port, x.address) for x in exposure.listeners()}

        assert (f"{one.getsockname()[1]}/tcp", "127.0.0.1") in found
        assert (f"{two.getsockname()[1]}/udp", "::1") in found


def test_privileged_files_of_no_package_are_found(root: Path) -> None:
    _put(root, "usr/bin/known", mode=0o4755)
    _put(root, "usr/bin/evil", mode=0o4755)
    _install(root, "tool")
    _put(root, "var/lib/dpkg/info/tool.list", "/.\n/usr/bin/known\n")

    assert {f.subject for f in exposure.privileged_files(root, Dpkg(root), NO_MOUNTS, ())} == {"/usr/bin/evil"}


def test_units_and_jobs_of_no_package_are_found(root: Path) -> None:
    _put(root, "etc/systemd/system/evil.service", "[Service]\nExecStart=/tmp/x\n")
    _put(root, "etc/cron.daily/evil", "x")
    found = {f.area: f for f in audit(_host(root))}

    assert "/tmp/x" in found["units"].reason
    assert found["jobs"].subject == "/etc/cron.daily/evil"


def test_thirty_pending_updates_are_a_serious_finding(root: Path) -> None:
    for number in range(30):
        _install(root, f"lib{number}")
    text = "\n\n".join(f"Package: lib{number}\nVersion: 2" for number in range(30))
    _put(root, "var/lib/apt/lists/main_Packages", text)
    os.utime(root / "var/lib/apt/lists/main_Packages", (NOW, NOW))
    found = [f for f in audit(_host(root, packages=("lib.*",))) if f.area == "updates"]

    assert [(f.subject, f.severity) for f in found] == [("pending updates", Severity.HIGH)]


def test_a_pending_security_update_is_a_finding_of_its_own(root: Path) -> None:
    _put(root, "var/lib/apt/lists/security_Packages", "Package: libc6\nVersion: 2.36-9+deb12u1\n")

    assert "libc6" in {f.subject for f in audit(_host(root)) if f.severity is Severity.HIGH}


def test_missing_and_old_lists_are_findings(root: Path) -> None:
    for path in (root / "var/lib/apt/lists").iterdir():
        os.utime(path, (NOW - 864000, NOW - 864000))
    assert "10 days old" in audit(_host(root))[0].reason
    shutil.rmtree(root / "var/lib/apt/lists")
    assert "apt has no lists" in audit(_host(root))[0].reason


def test_the_end_of_life_is_known(root: Path) -> None:
    assert not list(software.end_of_life(root, dt.date(2026, 11, 1)))
    assert [f.severity for f in software.end_of_life(root, dt.date(2028, 5, 1))] == [Severity.MEDIUM]
    assert [f.severity for f in software.end_of_life(root, dt.date(2028, 7, 1))] == [Severity.CRITICAL]


def test_known_holes_are_found_by_source_and_version(root: Path) -> None:
    _install(root, "libssl3", "3.0.1-1", "openssl (3.0.1-1)")
    tracker = {
        "openssl": {
            "CVE-1": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.2-1", "urgency": "high"}}},
            "CVE-2": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.1-1", "urgency": "high"}}},
            "CVE-3": {"releases": {"bookworm": {"status": "open", "urgency": "low"}}},
            "CVE-4": {"releases": {"bookworm": {"status": "open", "urgency": "high"}}},
        }
    }

    assert [f.subject for f in software.known_holes(Dpkg(root), tracker, "bookworm")] == ["openssl CVE-1", "openssl CVE-4"]


def test_holes_are_judged_by_the_version_of_the_source(root: Path) -> None:
    _install(root, "cpp", "4:12.2.0-3", "gcc-defaults (1.203)")
    tracker = {"gcc-defaults": {"CVE-1": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "1.204"}}}}}

    assert [f.subject for f in software.known_holes(Dpkg(root), tracker, "bookworm")] == ["gcc-defaults CVE-1"]


def test_a_host_without_lists_of_security_updates_is_told(root: Path) -> None:
    (root / "var/lib/apt/lists/security_Packages").unlink()

    assert [(f.subject, f.severity) for f in audit(_host(root))] == [("security lists", Severity.HIGH)]


VERSION = st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z+.~]{1,4})?", fullmatch=True)


@given(VERSION, VERSION)
@example("0", "0-0")
@example("0", "0~")
@example("1.0", "1.00-0")
@example("1a", "1a0")
def test_versions_compare_as_dpkg_says(left: str, right: str) -> None:
    if shutil.which("dpkg") is None:
        pytest.skip("needs dpkg")
    says = subprocess.run(["dpkg", "--compare-versions", left, "lt", right], check=False, capture_output=True).returncode == 0

    assert (Version(left) < Version(right)) is says


def test_accounts_are_read_with_their_passwords(root: Path) -> None:
    assert [(a.name, a.password, a.has_shell) for a in people.accounts(root)] == [("root", "*", True), ("daemon", "*", False)]
