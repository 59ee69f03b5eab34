"""What is wrong with a declared network is told before anything is compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.firewall.declare import DeclarationError, declare
from gatepost.firewall.declared import read_policy
from gatepost.site.load import loads
from gatepost.site.problem import SiteError
from tests.firewall.conftest import TODAY, policy_from


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('services = ["http", "https"]', 'services = ["htpp"]', "not in the catalogue"),
        ('to = "mailserver"', 'to = "mailsever"', "neither a zone nor a host"),
        ('interfaces = ["eth2"]', 'interfaces = ["eth1"]', "already belongs to zone"),
        ('gateway = ["192.168.2.1", "2001:db8:2::1"]', 'gateway = ["192.168.3.1"]', "interfaces swapped"),
        ('from = "internal"\nto = "relay"', 'from = "relay"\nto = "relay"', "on the same side"),
        ('helper = "ftp"\n', 'helper = "ftp"\nservices_ = 1\n', None),
        ('from = "adminpc"\nto = "supplier-ftp"', 'from = "internal"\nto = "supplier-ftp"', "named hosts only"),
        ('id = "dns"', 'id = "web"', "used twice"),
    ],
)
def test_a_mistake_is_named(widget_text: str, old: str, new: str, message: str | None) -> None:
    assert old in widget_text
    with pytest.raises((DeclarationError, SiteError)) as caught:
        policy_from(widget_text.replace(old, new, 1))
    if message:
        assert message in str(caught.value)


def test_a_flow_that_repeats_another_is_an_error(widget_text: str) -> None:
    again = (
        '[[flows]]\nid = "again"\nfrom = "adminpc"\nto = "internet"\nservices = "https"\nreason = "Said a second time."\nowner = "nobody"\n'
    )
    with pytest.raises(DeclarationError, match='"again" repeats what "web" already allows'):
        policy_from(widget_text + again)


def test_an_expired_flow_is_left_out_and_named(widget_text: str) -> None:
    text = widget_text.replace('id = "web"', 'id = "web"\nexpires = 2025-12-31')
    policy = declare(loads(text), TODAY)

    assert policy.expired == ("web",)
    assert all(item.id != "web" for item in policy.allowed)


def test_a_flow_without_a_reason_is_refused(widget_text: str) -> None:
    with pytest.raises(SiteError, match="reason"):
        policy_from(widget_text.replace('reason = "Employees read the web for their work."\n', ""))


def test_a_mistake_is_told_with_file_and_line(widget_text: str, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(widget_text.replace('to = "isp-dns"\nservices = "dns"', 'to = "isp-nds"\nservices = "dns"'), encoding="utf-8")

    with pytest.raises(SiteError) as caught:
        read_policy(path, TODAY)

    line = path.read_text().splitlines().index('to = "isp-nds"') + 1
    assert f"site.toml:{line}: flows[4].to" in str(caught.value)
