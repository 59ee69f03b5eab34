"""The generated units: confined as the house promises, understood by systemd, and what the page of processes says."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from gatepost.deploy.units.compile import UNITS, compile_units, sysusers, tmpfiles, units
from gatepost.deploy.units.people import PEOPLE
from gatepost.relay.compile import Role
from gatepost.site.load import loads
from gatepost.site.model import Site

ROOT = Path(__file__).resolve().parents[2]
ROLES: tuple[Role, ...] = ("relay", "firewall", "server", "all-in-one")
MOST, MOST_SCAN = 2.0, 1.0
EXTRA = """
[console]
listen = "192.168.2.3:8080"
[metrics]
listen = "192.168.2.3:9090"
[signatures.own]
kind = "yara"
source = "/srv/rules"
"""


@cache
def site() -> Site:
    return loads((ROOT / "examples/widget/site.toml").read_text() + EXTRA)


@cache
def every() -> dict[str, str]:
    """The text of every unit of every role."""
    return {one.name: one.text for role in ROLES for one in units(site(), role)}


SERVICES = sorted(name for name in every() if name.endswith(".service"))


@pytest.fixture
def laid_out(tmp_path: Path) -> Path:
    for name, text in every().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("/usr/bin/gatepost", "/bin/true").replace("/usr/sbin/nft", "/bin/true"))
    return tmp_path


def exposure(path: Path) -> float:
    """What systemd-analyze(1) says of a unit, 0 (safe) to 10."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", path], capture_output=True, text=True, check=False
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    return float(found[1])


needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined_and_the_page_of_processes_says_how_much(name: str, laid_out: Path) -> None:
    score = exposure(laid_out / name)

    assert score <= (MOST_SCAN if "scan" in name else MOST)
    page = (ROOT / "docs/processes.md").read_text()
    assert f"| `{name}` | {score} |" in page, "write the score into the table of docs/processes.md"


@needs_systemd
def test_systemd_understands_every_unit(laid_out: Path) -> None:
    files = [laid_out / name for name in every() if "/" not in name and "path" not in name]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False)

    ours = [line for line in done.stderr.splitlines() if "gatepost" in line and "not found" not in line]
    assert ours == []


def test_each_process_runs_as_its_own_user_and_only_what_must_be_root_is() -> None:
    users = {name: re.findall(r"^User=(.*)$", every()[name], re.MULTILINE) for name in SERVICES}

    assert {name for name, found in users.items() if not found} == {
        "gatepost-recover.service",
        "gatepost-integrity.service",
        "gatepost-fresh.service",
        "gatepost-firewall-base.service",
        "gatepost-firewall.service",
        "gatepost-firewall-watch.service",
    }
    for process in ("keeper", "front", "scan", "watch", "console", "signatures"):
        assert users[f"gatepost-{process}.service"] == [f"gatepost-{process}"]


def test_whoever_takes_strangers_bytes_has_nothing_to_write_and_no_network() -> None:
    scan, front = every()["gatepost-scan.service"], every()["gatepost-front.service"]

    assert re.findall(r"^ReadWritePaths=(.*)$", scan, re.MULTILINE) == ["/run/gatepost/scratch"]
    assert "PrivateNetwork=yes" in scan
    assert "ReadWritePaths" not in front


def test_the_scan_workers_reach_an_engine_by_tcp_and_nobody_else() -> None:
    text = (ROOT / "examples/widget/site.toml").read_text().replace('"unix:/run/clamav/clamd.ctl"', '"192.168.2.9:3310"')
    (scan,) = (one.text for one in units(loads(text), "relay") if one.name == "gatepost-scan.service")

    assert "IPAddressAllow=localhost 192.168.2.9" in scan
    assert "IPAddressDeny=any" in scan


def test_a_firewall_boots_into_a_list_of_units_shut_before_its_network() -> None:
    target, base = every()["gatepost-firewall.target"], every()["gatepost-firewall-base.service"]

    assert "multi-user.target" not in target.replace("# What may run on this firewall; multi-user.target is not reached", "")
    assert "Before=sysinit.target network-pre.target" in base
    assert "Requires=gatepost-firewall-base.service" in every()["networking.service.d/50-gatepost.conf"]
    assert not any(name.startswith("multi-user") for name in (one.name for one in units(site(), "firewall")))


def test_a_server_behind_the_firewall_gets_no_mail_services() -> None:
    names = {one.name for one in units(site(), "server")}

    assert "gatepost-integrity.timer" in names
    assert not any(word in name for name in names for word in ("keeper", "front", "scan", "firewall"))


def test_every_started_unit_is_there() -> None:
    for role in ROLES:
        found = {one.name: one.text for one in units(site(), role)}
        named = {
            word
            for text in found.values()
            for line in re.findall(r"^(?:Wants|Requires|Sockets|Service)=(.*)$", text, re.MULTILINE)
            for word in line.split()
            if word.startswith("gatepost")
        }
        assert named <= found.keys(), role


@pytest.mark.usefixtures("as_root")
@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="needs systemd-sysusers")
def test_users_and_folders_are_made_with_their_rights(tmp_path: Path) -> None:
    for name, text in (("sysusers", sysusers()), ("tmpfiles", tmpfiles(site()))):
        (tmp_path / f"etc/{name}.d").mkdir(parents=True)
        (tmp_path / f"etc/{name}.d/gatepost.conf").write_text(text)
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create"], check=True, capture_output=True)

    users = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    assert {one.name for one in PEOPLE} <= users.keys()
    assert all(users[one.name][6] == "/usr/sbin/nologin" for one in PEOPLE)
    state, keeper = tmp_path / "var/lib/gatepost", int(users["gatepost-keeper"][2])
    assert (state.stat().st_mode & 0o7777, state.stat().st_uid, state.stat().st_gid) == (0o1771, 0, keeper)
    assert ((state / "quarantine").stat().st_mode & 0o777, (state / "quarantine").stat().st_uid) == (0o700, keeper)


def test_files_go_where_systemd_looks() -> None:
    paths = {str(one.path) for one in compile_units(site(), "relay")}

    assert {f"{UNITS}/gatepost-keeper.service", "/etc/sysusers.d/gatepost.conf", "/etc/tmpfiles.d/gatepost.conf"} <= paths
