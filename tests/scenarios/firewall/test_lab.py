"""The demo company in namespaces: what is declared passes, and nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gatepost.firewall import lab
from gatepost.firewall.declared import read_policy

SITE = Path(__file__).resolve().parents[3] / "examples" / "widget" / "site.toml"


@pytest.mark.system
@pytest.mark.xdist_group("lab")
def test_everything_declared_passes_and_nothing_else(as_root: None) -> None:
    found, _ = lab.run(read_policy(SITE))

    assert len(found) >= 500
    assert [cell for cell in found if not cell.right] == []
    assert sum(cell.passed for cell in found) == 82
    assert f"gpl{os.getpid()}-" not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
