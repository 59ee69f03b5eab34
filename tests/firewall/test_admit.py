"""The firewall opened for a time: shut before, open meanwhile, shut again by the kernel; and proved with it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.firewall.admit import AdmitError, admit, admitted, shut
from gatepost.firewall.compile import compile_policy, reload_text
from gatepost.firewall.declare import Policy
from gatepost.firewall.export_iptables import ExportError, export_iptables
from gatepost.firewall.nft import load, rehearse
from gatepost.firewall.nft_reader import read_nft
from gatepost.firewall.prove import Outcome, prove
from tests.firewall.conftest import policy_from
from tests.support.network import inside
from tests.support.ports import wait_for

PORT = 2222


@pytest.fixture(scope="module")
def policy(widget_text: str) -> Policy:
    text = widget_text.replace('to = "firewall"\nservices = "ssh"', 'to = "firewall"\non_request = true\nservices = "maintenance"', 1)
    return policy_from(text + f"\n[services.maintenance]\ntcp = [{PORT}]\n")


def test_what_is_opened_on_request_is_proved(needs_nft: None, policy: Policy) -> None:
    listing = rehearse(reload_text(compile_policy(policy), ()))

    assert prove(policy, read_nft(listing)).outcome is Outcome.PROVED


def test_a_rule_that_forgets_to_ask_is_found(needs_nft: None, policy: Policy) -> None:
    text = reload_text(compile_policy(policy), ()).replace("ip saddr @admitted4 ", "")

    assert prove(policy, read_nft(rehearse(text))).outcome is Outcome.DIFFERENT


def test_nothing_is_opened_that_is_not_declared(widget: Policy) -> None:
    with pytest.raises(AdmitError, match="on_request"):
        admit(widget, 60)


def test_iptables_cannot_and_says_so(policy: Policy) -> None:
    helped = {item.id for item in policy.allowed if item.helper}
    plain = replace(policy, allowed=tuple(item for item in policy.allowed if item.id not in helped))
    with pytest.raises(ExportError, match="for a time"):
        export_iptables(plain, 4)


@pytest.fixture
def firewall(as_root: None, needs_nft: None, policy: Policy) -> Iterator[str]:
    """A namespace with the rules, and the administrator's machine behind eth2 in another one."""
    names = [f"gp-admit-{os.getpid()}-{end}" for end in ("fw", "pc")]
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
    one, other = (f"v{os.urandom(4).hex()}" for _ in names)
    subprocess.run(["ip", "link", "add", one, "type", "veth", "peer", "name", other], check=True)
    for name, link, wanted, address in ((names[0], one, "eth2", "192.168.3.1/24"), (names[1], other, "eth0", "192.168.3.10/24")):
        subprocess.run(["ip", "link", "set", link, "netns", name, "name", wanted], check=True)
        subprocess.run(["ip", "-n", name, "addr", "add", address, "dev", wanted], check=True)
        subprocess.run(["ip", "-n", name, "link", "set", wanted, "up"], check=True)
    load(reload_text(compile_policy(policy), ()), names[0])
    yield names[0]
    for name in names:
        subprocess.run(["ip", "netns", "del", name], check=False)


def comes_in(firewall: str) -> bool:
    with inside(firewall.replace("-fw", "-pc")):
        sock = socket.socket()
    with sock:
        sock.settimeout(0.5)
        return sock.connect_ex(("192.168.3.1", PORT)) == 0


def test_the_kernel_lets_the_administrator_in_for_the_time_and_no_longer(firewall: str, policy: Policy) -> None:
    with inside(firewall):
        listener = socket.create_server(("192.168.3.1", PORT), backlog=4096)
    with listener:
        assert not comes_in(firewall)

        admit(policy, 4, firewall)
        assert comes_in(firewall)
        assert "192.168.3.10" in {one.source.partition("/")[0] for one in admitted(firewall)}
        wait_for(lambda: not comes_in(firewall), "the kernel to shut", 20)
        assert admitted(firewall) == []

        admit(policy, 600, firewall)
        assert comes_in(firewall)
        shut(policy, firewall)
        assert not comes_in(firewall)


def test_who_is_admitted_stays_so_when_the_rules_are_loaded_again(firewall: str, policy: Policy, tmp_path: Path) -> None:
    from gatepost.firewall.nft import listing, objects
    from gatepost.firewall.settle import refill, same

    admit(policy, 600, firewall)
    text = reload_text(compile_policy(policy), ())

    load(refill(text, objects(listing(firewall), "gatepost")), firewall)

    assert admitted(firewall)
    assert same(listing(firewall), rehearse(text))
