"""The power goes while rules are applied: after the boot the old or the new proved rules are in force, or nothing passes."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.firewall import nft
from gatepost.firewall.apply import ApplyError, Place, apply, boot, confirm
from gatepost.firewall.confirmed import DECLARATION, RULES, kept_site
from gatepost.firewall.declare import Policy
from gatepost.firewall.declared import read_policy
from gatepost.firewall.expiry import close_expired
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import Outcome, prove
from gatepost.site.problem import SiteError
from gatepost.system import files
from tests.support.faultyos import FaultyOs, PowerCutError

SITE = Path(__file__).resolve().parents[3] / "examples" / "widget" / "site.toml"
pytestmark = pytest.mark.system
NO_GUARD = ("true",)
FORWARDING = "net.ipv4.ip_forward"
LAST_DAY = dt.date(2999, 1, 31)


class Machine:
    """A firewall with the old rules confirmed, and a site file that means the new ones."""

    def __init__(self, folder: Path) -> None:
        self.name = f"gpp{os.getpid() % 100000}"
        self.folder = folder
        self.site = folder / "site.toml"
        self.place = Place(folder / "state", self.name)
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.old = self.means(SITE.read_text())
        self.put(self.place)
        self.new = self.means(SITE.read_text().replace('"http", "https"', '"https"'))

    def means(self, text: str) -> Policy:
        self.site.write_text(text)
        return read_policy(self.site)

    def put(self, place: Place) -> None:
        """Apply and confirm what the site file means."""
        apply(read_policy(self.site), place, "a", NO_GUARD, self.site.read_text())
        confirm(place, "b")

    def inside(self, *command: str) -> str:
        return subprocess.run(["ip", "netns", "exec", self.name, *command], check=True, capture_output=True, text=True).stdout.strip()

    def boots(self, left: dict[str, bytes], policy: Policy | None) -> str:
        """A boot with these files: which rules are in force then."""
        place = Place(self.folder / "rebooted", self.name)
        shutil.rmtree(place.state, ignore_errors=True)
        place.state.mkdir()
        for name, content in left.items():
            (place.state / name).write_bytes(content)
        self.inside("nft", "flush", "ruleset")
        self.inside("sysctl", "-qw", f"{FORWARDING}=1")
        try:
            boot(policy, place)
        except (ApplyError, SiteError, OSError, nft.NftError):
            return self.in_force(forwarding="0")
        return self.in_force(forwarding="1")

    def in_force(self, forwarding: str) -> str:
        assert self.inside("sysctl", "-n", FORWARDING) == forwarding
        listing = nft.listing(self.name)
        for name, policy in (("old", self.old), ("new", self.new)):
            if prove(policy, read_nft(listing)).outcome is Outcome.PROVED:
                return name
        items = json.loads(listing)["nftables"]
        closed = {item["chain"]["policy"] for item in items if item.get("chain", {}).get("type") == "filter"} == {"drop"}
        return "nothing passes" if closed and not [item for item in items if "rule" in item] else "OPEN"


@pytest.fixture
def machine(as_root: None, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    subprocess.run(["ip", "netns", "del", made.name], check=True)


def cut(machine: Machine, monkeypatch: pytest.MonkeyPatch, nth: int) -> tuple[dict[str, bytes], int]:
    """Apply and confirm the new rules with a power cut at the n-th call to the file system; the files that survive, and how many calls."""
    place = Place(machine.folder / f"state-{nth}", machine.name)
    shutil.copytree(machine.place.state, place.state)
    faulty = FaultyOs(nth, power=bool(nth))
    faulty.on_disk(place.state)
    with monkeypatch.context() as patched:
        patched.setattr(files, "os", faulty)
        with contextlib.suppress(PowerCutError):
            machine.put(place)
    return faulty.survivors(place.state), len(faulty.calls)


def tried(machine: Machine, monkeypatch: pytest.MonkeyPatch, count: int) -> list[str]:
    """Boots after power cuts at so many random points of an apply and its confirmation."""
    _, calls = cut(machine, monkeypatch, 0)
    points = random.Random(4).sample(range(1, calls + 1), count)
    return [machine.boots(cut(machine, monkeypatch, nth)[0], machine.new) for nth in points]


def test_after_a_power_cut_a_machine_boots_into_proved_rules(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(machine, monkeypatch, 4)

    assert set(found) <= {"old", "new", "nothing passes"}


@pytest.mark.slow
def test_after_twenty_power_cuts_a_machine_boots_into_proved_rules(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(machine, monkeypatch, 20)

    assert set(found) <= {"old", "new", "nothing passes"}
    assert {"old"} <= set(found), found


def test_a_site_file_that_is_being_edited_does_not_shut_the_network_at_a_boot(machine: Machine) -> None:
    kept = {path.name: path.read_bytes() for path in machine.place.state.iterdir()}

    assert machine.boots(kept, machine.new) == "old"
    assert machine.boots(kept, None) == "old"


def test_rules_of_which_nobody_knows_what_they_mean_are_not_booted(machine: Machine) -> None:
    kept = {path.name: path.read_bytes() for path in machine.place.state.iterdir()}
    foreign = {**kept, RULES: kept[RULES].replace(b"policy drop", b"policy accept")}

    assert machine.boots(foreign, machine.old) == "nothing passes"
    assert machine.boots(foreign, None) == "nothing passes"
    assert machine.boots({**kept, DECLARATION: b"{}"}, None) == "nothing passes"


def test_a_permission_ends_on_the_day_after_its_last_and_stays_ended_after_a_boot(machine: Machine) -> None:
    text = SITE.read_text().replace('id = "supplier-ftp"\n', f'id = "supplier-ftp"\nexpires = {LAST_DAY}\n')
    machine.means(text)
    machine.put(machine.place)
    folder = machine.place.state

    assert close_expired(machine.place, LAST_DAY) == []
    assert "supplier-ftp" in nft.listing(machine.name)
    assert close_expired(machine.place, LAST_DAY + dt.timedelta(days=1)) == ["supplier-ftp"]
    assert "supplier-ftp" not in nft.listing(machine.name)
    assert b"supplier-ftp" not in (folder / RULES).read_bytes()
    assert kept_site(folder) == text
    assert close_expired(machine.place, LAST_DAY + dt.timedelta(days=2)) == []
