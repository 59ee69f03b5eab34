"""Rule sets of other people, explained: the printed script of 2003, saved files, and our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost.firewall.declare import Policy
from gatepost.firewall.explain import Account, account_text, explain

BROKEN = """\
#!/bin/sh
IPT=/sbin/iptables
$IPT -P INPUT DENY
$IPT -P FORWARD DROP
$IPT -A FORWARD -o eth1 -s ! 10.1.0.0/16 -j DROP
$IPT -A FORWARD -i eth1 -o eth0 -p tcp --dport 1024:65535 -j ACCEPT
$IPT -A FORWARD -i eth0 -o eth1 -m state --state ESTABLISHED,RELATED -j ACCEPT
$IPT -A FORWARD --d 10.1.0.5 -j ACCEPT
$IPT -A FORWARD -LOG --log-prefix "seen"
$IPT -t nat -A PREROUTING -i eth0 -d 192.0.2.1 --dport 25 -j DNAT --to-destination 10.1.0.5
for port in 80 443; do
  $IPT -A INPUT -p tcp --dport $port -j ACCEPT
done
echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcast
echo 1 > /proc/sys/net/ipv4/ip_forward
"""


def names(account: Account) -> set[str]:
    return {finding.name for finding in account.findings}


def test_a_script_is_read_as_iptables_would_read_it() -> None:
    account = explain(BROKEN)

    assert [line.number for line in account.refused] == [3, 5, 8, 9, 10]
    assert "ipchains" in account.refused[0].why
    assert account.loaded == 5
    assert {"ipv6", "wide", "switch", "forwarding", "piecemeal"} <= names(account)


def test_what_remains_is_said_in_one_sentence() -> None:
    assert "everything reaches" in explain("iptables -P FORWARD DROP\niptables -A INPUT -s 10.0.0.1 -j ACCEPT\n").headline
    assert explain("iptables -P INPUT DENY\niptables -A INPUT -p tcp -j ACCEPT\n").headline.startswith("This is no firewall")


@pytest.mark.parametrize(
    ("script", "refused", "expected"),
    [
        (
            "paper-literal.sh",
            7,
            {"policy-forward", "open-input", "forged-forward", "flags-forward", "wide", "ftp-data", "log-limit", "log-prefix", "ipv6"},
        ),
        (
            "paper-syntax-fixed.sh",
            0,
            {
                "replies",
                "wrong-side",
                "published-but-refused",
                "dns-tcp",
                "icmp",
                "loopback",
                "mute",
                "mail-address",
                "hairpin",
                "wide",
                "ipv6",
                "no-limits",
            },
        ),
        ("paper-intended.sh", 0, {"direct", "hairpin", "mail-address", "dns-tcp", "loopback", "mute", "wide", "ftp-data", "ipv6"}),
    ],
)
def test_the_printed_script_shows_its_defects(shared: Path, script: str, refused: int, expected: set[str]) -> None:
    account = explain((shared / "firewall-lab" / "lab" / script).read_text())

    assert len(account.refused) == refused
    assert expected <= names(account)


def test_with_the_site_the_swapped_interfaces_are_seen(shared: Path, widget: Policy) -> None:
    account = explain((shared / "firewall-lab" / "lab" / "paper-syntax-fixed.sh").read_text(), widget)

    assert "swapped" in names(account)


def test_nothing_is_found_in_the_rules_we_compile(widget: Policy, widget_listing: str) -> None:
    account = explain(widget_listing, widget)

    assert names(account) == set()
    assert "from internet (eth0) to services (eth1): smtp (tcp/25) to relay (as 203.0.113.25) from internet" in account_text(account)


def test_real_rule_sets_are_read(shared: Path) -> None:
    folder = shared / "firewall-lab" / "rulesets" / "net-network"
    read = 0
    for path in sorted(folder.iterdir()):
        text = path.read_text(errors="replace")
        if "chair_for" in path.name or "*filter" not in text:
            continue
        assert explain(text).headline, path.name
        read += 1
    assert read >= 31
