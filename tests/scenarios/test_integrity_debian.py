"""Integrity on real Debian 12: nothing on a fresh host, nothing unexplained after real installs and upgrades, one planted byte one finding.

Long (minutes, and downloads from the Debian mirror): runs with GATEPOST_LONG=1. The tree that debootstrap makes is kept in
/var/tmp/gatepost-debian12 for the next time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gatepost.integrity.audit.finding import Severity
from gatepost.integrity.audit.host import Host as Audited
from gatepost.integrity.audit.host import audit
from gatepost.integrity.dpkg import Dpkg
from gatepost.integrity.report import Report, Status
from gatepost.site.integrity import Allowed, Integrity
from tests.integrity.conftest import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(3600)]

BASE = Path("/var/tmp/gatepost-debian12")
LENT = ("etc/apt", "usr/share/keyrings", "etc/ssl/certs/ca-certificates.crt", "etc/resolv.conf", "etc/hosts")
INSIDE = """
mount --make-rprivate / && mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs none "$1/run" || exit 99
exec env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$1" /bin/sh -c "$2"
"""
PACKAGES = (
    "openssh-server cron postfix nginx apache2 rsyslog logrotate man-db dbus systemd sudo iputils-ping dovecot-imapd python3-requests "
    "initramfs-tools fontconfig nftables at screen bind9 polkitd rspamd locales tcpdump info"
)
MANY = 100
"""So many packages are upgraded at once."""

UPDATES = "etc/apt/preferences.d/without-updates"
WITHOUT = "".join(f"Package: *\nPin: release {which}\nPin-Priority: -1\n\n" for which in ("l=Debian-Security", "n=bookworm-updates"))
FAMILIES = {
    "php8.2-": "bcmath bz2 cgi cli curl dba enchant fpm gd gmp imap interbase intl ldap mbstring mysql odbc opcache pgsql pspell readline snmp soap "
    "sqlite3 sybase tidy xml xsl zip",
    "dovecot-": "auth-lua gssapi imapd ldap lmtpd managesieved mysql pgsql pop3d sieve solr sqlite submissiond",
    "rsyslog-": "gnutls gssapi hiredis mysql openssl pgsql relp snmp",
    "libnginx-mod-": "http-geoip http-image-filter http-perl http-xslt-filter mail stream stream-geoip",
    "libsasl2-modules-": "gssapi-mit ldap otp sql",
    "": "apache2 apt-utils bind9 bind9-dnsutils brotli expat ghostscript gsasl haproxy imagemagick jq libarchive-tools libnss3-tools mariadb-client-core "
    "mariadb-common nginx openssl parted perl poppler-utils postgresql-client python3.11-venv redis rsync rsyslog ruby3.1 sasl2-bin squidclient "
    "strongswan strongswan-pki xz-utils",
}
"""Packages of Debian 12 that had security updates since its last point release, by the beginning of their names."""


class Chroot(Host):
    """A Debian tree watched by the default policy of a relay."""

    def run(self, command: str) -> None:
        """Run a shell command inside, in namespaces of its own."""
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, "sh", self.tree, command],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode and "Could not resolve" in done.stderr + done.stdout:
            pytest.skip("no Debian mirror can be reached from here")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def _fresh(folder: Path) -> Chroot:
    """A Debian of its own, not yet described."""
    if not os.environ.get("GATEPOST_LONG"):
        pytest.skip("long: set GATEPOST_LONG=1 to install real packages in a chroot")
    if os.geteuid() or not shutil.which("debootstrap"):
        pytest.skip("needs root and debootstrap")
    if not (BASE / ".done").exists():
        shutil.rmtree(BASE, ignore_errors=True)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=ca-certificates,adduser,cron,python3", "bookworm", BASE],
            check=False,
            capture_output=True,
        )
        if made.returncode:
            pytest.skip("debootstrap cannot make a tree here: no mirror?")
        (BASE / ".done").touch()
    host = Chroot(folder, Integrity(role="relay"))
    subprocess.run(["cp", "-a", "--reflink=auto", BASE, host.tree], check=True)
    for path in LENT:
        subprocess.run(["cp", "-aLT", f"/{path}", host.tree / path], check=False, capture_output=True)
    # Containers are often set to throw archives away; an ordinary host keeps them.
    (host.tree / "etc/apt/apt.conf.d/docker-clean").unlink(missing_ok=True)
    host.run("apt-get update -qq")
    return host


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Chroot:
    host = _fresh(tmp_path_factory.mktemp("debian"))
    host.init()
    return host


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Chroot:
    """A Debian with many packages of the last point release, whose security updates are waiting."""
    host = _fresh(tmp_path_factory.mktemp("behind"))
    (host.tree / UPDATES).write_text(WITHOUT)
    wanted = " ".join(start + end for start, ends in FAMILIES.items() for end in ends.split())
    host.run(f"apt-get install -y -qq --no-install-recommends {wanted}")
    (host.tree / UPDATES).unlink()
    host.init()
    return host


def _paths(report: Report) -> list[str]:
    return [finding.path for finding in report.findings]


def test_nothing_is_found_on_a_fresh_host(debian: Chroot) -> None:
    for full in (True, False):
        report = debian.check(full=full)
        assert (_paths(report), report.alarms, report.status) == ([], (), Status.WELL)


def test_the_audit_of_a_fresh_host_finds_no_hole_but_waiting_updates(debian: Chroot) -> None:
    found = audit(Audited(debian.tree, "relay", Allowed(), debian.check().finished, live=False))

    assert [f for f in found if f.severity in (Severity.CRITICAL, Severity.HIGH) and f.area != "updates"] == []


def test_real_installs_leave_nothing_unexplained(debian: Chroot) -> None:
    debian.run(f"apt-get install -y -qq --no-install-recommends {PACKAGES}")
    report = debian.check()

    assert _paths(report) == []
    assert sum(e.count for e in report.explained) > 1000


def test_a_real_upgrade_leaves_nothing_unexplained(debian: Chroot) -> None:
    debian.init()
    debian.run("apt-get upgrade -y -qq")
    assert _paths(debian.check()) == []


def test_removals_leave_nothing_unexplained(debian: Chroot) -> None:
    debian.init()
    debian.run("apt-get remove -y -qq nginx info screen && apt-get autoremove -y -qq")
    assert _paths(debian.check()) == []


def test_one_planted_byte_under_cover_of_an_upgrade_is_exactly_one_finding(debian: Chroot) -> None:
    debian.init()
    debian.run("apt-get install -y -qq --no-install-recommends less tree")
    _flip(debian.tree / "usr/bin/tree")

    assert _paths(debian.check()) == ["/usr/bin/tree"]


def test_an_upgrade_of_a_hundred_packages_is_a_line_a_package_and_one_planted_byte_one_finding(behind: Chroot) -> None:
    before = Dpkg(behind.tree).versions
    behind.run("apt-get upgrade -y -qq")
    upgraded = {name for name, version in Dpkg(behind.tree).versions.items() if before.get(name) != version}
    if len(upgraded) < MANY:
        pytest.skip(f"the mirror has only {len(upgraded)} updates for these packages; add others to FAMILIES")
    report = behind.check()
    lines = [one.by.removeprefix("package ") for one in report.explained if one.by.startswith("package ")]

    assert (_paths(report), report.status) == ([], Status.WELL)
    assert (len(lines), set(lines)) == (len(upgraded), upgraded)

    _flip(behind.tree / "usr/bin/jq")
    for full in (True, False):
        assert _paths(behind.check(full=full)) == ["/usr/bin/jq"]


def _flip(program: Path) -> None:
    """Change one bit of one byte, and put the time of the file back."""
    status = program.stat()
    data = bytearray(program.read_bytes())
    data[5000] ^= 1
    program.write_bytes(data)
    os.utime(program, ns=(status.st_atime_ns, status.st_mtime_ns))
