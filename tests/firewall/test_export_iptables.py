"""The other generator writes other rules from the same policy, and the same proof holds for them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from gatepost.firewall.export_iptables import ExportError, export_iptables
from gatepost.firewall.iptables_reader import read_save
from gatepost.firewall.nft import apart
from gatepost.firewall.prove import Outcome, prove
from gatepost.firewall.reading import merged
from gatepost.firewall.ruleset import Ruleset
from tests.firewall.conftest import policy_from


def saved(text: str, version: int) -> str:
    program = "iptables" if version == 4 else "ip6tables"
    if shutil.which(f"{program}-restore") is None:
        pytest.skip("needs iptables")
    done = subprocess.run(
        [*apart(), "sh", "-c", f"{program}-restore && {program}-save"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_iptables_loads_is_proved_against_the_same_policy(needs_nft: None, widget_text: str) -> None:
    policy = policy_from(widget_text.replace('helper = "ftp"\n', ""))
    texts = {version: saved(export_iptables(policy, version), version) for version in (4, 6)}

    whole: Ruleset = merged(read_save(texts[4], 4), read_save(texts[6], 6))
    assert prove(policy, whole).outcome is Outcome.PROVED

    holed = texts[4].replace("--dport 443", "--dport 444", 1)
    assert holed != texts[4]
    assert prove(policy, merged(read_save(holed, 4), read_save(texts[6], 6))).outcome is Outcome.DIFFERENT


def test_what_iptables_cannot_say_is_refused_by_name(widget_text: str) -> None:
    with pytest.raises(ExportError, match="supplier-ftp"):
        export_iptables(policy_from(widget_text), 4)
