"""Changes are confirmed or taken back, whatever happens on the way. Everything runs in namespaces of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.firewall import nft
from gatepost.firewall.apply import ApplyError, Place, apply, boot, confirm, pending
from gatepost.firewall.declare import Policy
from gatepost.firewall.declared import read_policy
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import Outcome, prove

SITE = Path(__file__).resolve().parents[3] / "examples" / "widget" / "site.toml"
pytestmark = pytest.mark.system


@pytest.fixture
def place(as_root: None, tmp_path: Path) -> Iterator[Place]:
    name = f"gpa{os.getpid() % 100000}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield Place(tmp_path / "state", name)
    subprocess.run(["ip", "netns", "del", name], check=True)


def changed(tmp_path: Path, old: str, new: str) -> Policy:
    path = tmp_path / "site.toml"
    text = SITE.read_text().replace("[firewall]\n", "[firewall]\nconfirm = 5\n", 1).replace(old, new)
    path.write_text(text)
    return read_policy(path)


def proved(policy: Policy, place: Place) -> bool:
    return prove(policy, read_nft(nft.listing(place.namespace))).outcome is Outcome.PROVED


def wait_until_settled(place: Place) -> None:
    end = time.monotonic() + 20
    while pending(place) and time.monotonic() < end:
        time.sleep(0.1)
    assert not pending(place)


def test_a_confirmed_change_stays_and_is_what_a_boot_loads(place: Place, tmp_path: Path) -> None:
    policy = changed(tmp_path, "", "")
    apply(policy, place, "first login")
    with pytest.raises(ApplyError, match="log in anew"):
        confirm(place, "first login")
    confirm(place, "second login")

    subprocess.run(["ip", "netns", "exec", place.namespace, "nft", "flush", "ruleset"], check=True)
    boot(policy, place)

    assert proved(policy, place)


def switch(place: Place, name: str) -> str:
    command = ["ip", "netns", "exec", place.namespace, "sysctl", "-n", name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_kernel_switches_are_set_and_read_back_and_come_back_with_the_old_rules(place: Place, tmp_path: Path) -> None:
    subprocess.run(["ip", "netns", "exec", place.namespace, "sysctl", "-qw", "net.ipv4.conf.all.send_redirects=1"], check=True)
    done = apply(changed(tmp_path, "", ""), place, "a")

    assert switch(place, "net.ipv4.conf.all.send_redirects") == "0"
    assert [told for told in done.switches if "send_redirects" in told] == []
    wait_until_settled(place)
    assert switch(place, "net.ipv4.conf.all.send_redirects") == "1"


def test_a_policy_that_locks_the_administrator_out_is_taken_back_by_itself(place: Place, tmp_path: Path) -> None:
    good = changed(tmp_path, "", "")
    apply(good, place, "a")
    confirm(place, "b")
    bad = changed(tmp_path, 'from = "adminpc"\nto = "firewall"', 'from = "mailserver"\nto = "firewall"')

    apply(bad, place, "c")
    assert proved(bad, place)
    wait_until_settled(place)

    assert proved(good, place)


def test_the_first_change_taken_back_leaves_no_table(place: Place, tmp_path: Path) -> None:
    apply(changed(tmp_path, "", ""), place, "a")
    wait_until_settled(place)

    assert "gatepost" not in nft.listing(place.namespace)


def test_a_boot_without_confirmed_rules_lets_nothing_pass(place: Place, tmp_path: Path) -> None:
    place.state.mkdir()
    with pytest.raises(FileNotFoundError):
        boot(changed(tmp_path, "", ""), place)

    items = json.loads(nft.listing(place.namespace))["nftables"]
    assert {item["chain"]["policy"] for item in items if item.get("chain", {}).get("type") == "filter"} == {"drop"}
    assert not [item for item in items if "rule" in item]
    forwarding = subprocess.run(
        ["ip", "netns", "exec", place.namespace, "sysctl", "-n", "net.ipv4.ip_forward"], capture_output=True, text=True, check=True
    )
    assert forwarding.stdout.strip() == "0"


APPLY = """
import sys, time
from pathlib import Path
from gatepost.firewall import apply as module, nft
from gatepost.firewall.declared import read_policy
step = int(sys.argv[4])
names = [(module, "write_atomic"), (nft, "load"), (nft, "listing"), (module, "end_forbidden"), (module, "forward"), (module, "_guard")]
count = 0
def stop(function):
    def wrapped(*args, **kwargs):
        global count
        count += 1
        if count == step:
            print("here", flush=True)
            time.sleep(60)
        return function(*args, **kwargs)
    return wrapped
for where, name in names:
    setattr(where, name, stop(getattr(where, name)))
module.apply(read_policy(Path(sys.argv[1])), module.Place(Path(sys.argv[2]), sys.argv[3]), "x")
print("done", flush=True)
"""


@pytest.mark.parametrize("step", range(1, 10))
def test_killed_at_any_step_the_old_or_the_new_rules_are_in_force(place: Place, tmp_path: Path, step: int) -> None:
    old = changed(tmp_path, "", "")
    apply(old, place, "a")
    confirm(place, "b")
    new = changed(tmp_path, '"http", "https"', '"https"')
    command = [sys.executable, "-c", APPLY, str(tmp_path / "site.toml"), str(place.state), place.namespace, str(step)]

    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout
    assert running.stdout.readline().strip() in {"here", "done"}
    running.send_signal(signal.SIGKILL)
    running.wait()
    running.stdout.close()

    assert proved(old, place) or proved(new, place)
    if pending(place):
        # The power goes: the guard is not there any more, and the machine boots with what was confirmed.
        subprocess.run(["ip", "netns", "exec", place.namespace, "nft", "flush", "ruleset"], check=True)
        boot(old, place)
        assert proved(old, place)
