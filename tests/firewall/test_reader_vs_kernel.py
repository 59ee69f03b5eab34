"""The kernel is the judge: random rules, real packets, and nobody disagrees. The long form is tests.firewall.long.reader_vs_kernel."""

from __future__ import annotations

import shutil

import pytest


@pytest.mark.system
def test_readers_and_kernel_agree_on_random_rules(as_root: None, needs_nft: None) -> None:
    if shutil.which("conntrack") is None:
        pytest.skip("needs conntrack, to forget connections between rule sets")
    from tests.firewall.long.reader_vs_kernel import run

    tally = run(3000, seed=3)

    assert tally.wrong == []
    assert tally.passed > 300
    assert tally.passed < tally.packets


@pytest.mark.system
@pytest.mark.parametrize("kind", ["nft-iptables", "legacy-iptables"])
def test_the_reader_of_iptables_and_the_kernel_agree_on_random_rules(as_root: None, kind: str) -> None:
    variant = kind.removesuffix("-iptables")
    if shutil.which("conntrack") is None or shutil.which(f"ip6tables-{variant}-restore") is None:
        pytest.skip(f"needs conntrack and iptables-{variant}")
    from tests.firewall.long.reader_vs_kernel import run

    tally = run(1000, seed=3, each=250, kind=kind)

    assert tally.wrong == []
    assert 50 < tally.passed < tally.packets
