"""The same software in two layers is a remark: the network of the paper ran Sendmail on firewall, relay and mail server."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gatepost.site.diversity import shared
from gatepost.site.load import loads
from gatepost.site.problem import SiteError

SITE = """[site]
name = "Widget"
[mail]
domains = ["widget.example"]
next_hop = "mailserver:25"
[relay]
mta = "{mta}"
[zones.services]
prefixes = ["192.168.2.0/24"]
[zones.internal]
prefixes = ["192.168.3.0/24"]
[hosts.relay]
zone = "services"
addresses = ["192.168.2.3"]
role = "relay"
[hosts.mailserver]
zone = "internal"
addresses = ["192.168.3.45"]
role = "mailserver"
software = {server}
[firewall]
software = {firewall}
"""


def told(mta: str = "postfix", server: str = "[]", firewall: str = "[]") -> list[str]:
    return [str(one) for one in shared(loads(SITE.format(mta=mta, server=server, firewall=firewall)))]


def test_the_network_of_the_paper_is_found() -> None:
    assert told("sendmail", '"sendmail"', '["sendmail"]') == [
        "sendmail runs on firewall, relay and mailserver: one hole in it opens all of them"
    ]


def test_another_relay_leaves_the_other_two_and_another_server_leaves_nothing() -> None:
    assert told("postfix", '["sendmail"]', '["sendmail"]') == ["sendmail runs on firewall and mailserver: one hole in it opens all of them"]
    assert told("postfix", '["exchange"]', '["nftables"]') == []
    assert told() == []


def test_each_software_is_a_remark_of_its_own() -> None:
    assert [one.partition(" ")[0] for one in told("sendmail", '["sendmail", "debian"]', '["debian"]')] == ["debian", "sendmail"]


def test_two_relays_are_one_layer_and_may_be_alike() -> None:
    second = '[hosts.relay2]\nzone = "services"\naddresses = ["192.168.2.4"]\nrole = "relay"\nsoftware = "postfix"\n'

    assert shared(loads(SITE.format(mta="postfix", server="[]", firewall="[]") + second)) == ()


def test_a_host_without_a_role_is_a_layer_by_its_name() -> None:
    other = '[hosts.files]\nzone = "internal"\naddresses = ["192.168.3.9"]\nsoftware = ["postfix"]\n'
    (found,) = shared(loads(SITE.format(mta="postfix", server="[]", firewall="[]") + other))

    assert (found.software, found.layers, found.hosts) == ("postfix", ("relay", "files"), ("relay", "files"))


@pytest.mark.parametrize("name", ["Sendmail", "", "a\\nb"])
def test_a_software_has_a_plain_name(name: str) -> None:
    with pytest.raises(SiteError):
        told(server=f'["{name}"]')


def test_the_demo_company_has_no_such_finding() -> None:
    path = Path(__file__).resolve().parents[2] / "examples/widget/site.toml"

    assert tomllib.loads(path.read_text())
    assert shared(loads(path.read_text())) == ()
