"""The scan from outside, against a firewall in namespaces: as declared, with a hole, and blind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.firewall import nft, outside, vantage
from gatepost.firewall.canary import PORT
from gatepost.firewall.declared import read_policy
from gatepost.firewall.lab import Lab, cells

SITE = Path(__file__).resolve().parents[3] / "examples" / "widget" / "site.toml"
POLICY = read_policy(SITE)
pytestmark = [pytest.mark.system, pytest.mark.xdist_group("lab")]
ASKED = ["203.0.113.1", "203.0.113.25", "2001:db8:2::3", "192.168.3.45"]
RELAY = "192.168.2.3"
"""Where the published address leads."""


@pytest.fixture(scope="module")
def lab(as_root: None) -> Iterator[Lab]:
    with Lab(POLICY) as built:
        built.listen([cell for cell in cells(POLICY) if cell.source.zone == "internet" and cell.target in {*ASKED, RELAY}])
        yield built


def scan(lab: Lab, asked: list[str], *, held: bool = True) -> outside.Report:
    command = vantage.here(lab.spaces["internet"])
    return outside.scan(POLICY, "internet", command, asked, [], lab.spaces["firewall"] if held else None)


def test_a_firewall_as_declared_is_found_so_and_the_canary_leaves_nothing_behind(lab: Lab) -> None:
    before = [item for item in nft.objects(nft.listing(lab.spaces["firewall"]), "gatepost") if item[0] == "set"]
    report = scan(lab, ASKED)

    assert (report.status, report.wrong, report.blind) == (0, [], [])
    assert {(one.target, one.port) for one in report.tries if one.seen == "open"} == {("203.0.113.25", 25), ("2001:db8:2::3", 25)}
    assert [one.seen for one in report.canaries] == ["open"] * 8
    assert report.packets is not None
    assert report.packets >= report.sent >= 90
    listing = nft.listing(lab.spaces["firewall"])
    assert str(PORT) not in listing
    assert [item for item in nft.objects(listing, "gatepost") if item[0] == "set"] == before


def test_a_hole_made_by_hand_is_a_deviation(lab: Lab) -> None:
    nft.load("insert rule inet gatepost input tcp dport 111 accept\n", lab.spaces["firewall"])
    report = scan(lab, ["203.0.113.1"])

    assert report.status == 1
    assert report.wrong == ["203.0.113.1 tcp/111 passed (open), but is not declared"]


def test_without_a_canary_that_answers_silence_proves_nothing(lab: Lab) -> None:
    report = scan(lab, ["192.168.3.45"], held=False)

    assert report.status == 2
    assert report.wrong == []
    assert any("the canary 203.0.113.1" in told for told in report.blind)


def test_a_vantage_point_in_another_zone_is_refused(lab: Lab) -> None:
    with pytest.raises(outside.OutsideError, match="no address of zone services"):
        outside.scan(POLICY, "services", vantage.here(lab.spaces["internet"]), ["203.0.113.1"], [], None)
