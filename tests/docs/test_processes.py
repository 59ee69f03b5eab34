"""The table of processes has all of them, and the jail is described as it is."""

import re
from pathlib import Path

from gatepost.deploy.units.people import PEOPLE
from gatepost.services.rights import MAY
from gatepost.system import jail

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs/processes.md").read_text()


def test_every_process_that_the_gateway_starts_is_in_the_table() -> None:
    sources = (ROOT / "src/gatepost/services/gateway.py").read_text() + (ROOT / "src/gatepost/services/pool.py").read_text()
    started = re.findall(r'(?:_child\(|_worker\(.*)f?"([a-z]+(?: worker)?)', sources)
    rows = re.findall(r"^\| ([a-z ]+)", PAGE, re.MULTILINE)

    started = [{"scan": "scan worker"}.get(name, name) for name in started]

    assert {"keeper", "front", "watch", "console", "scan worker"} <= set(started)
    assert {name.strip() for name in started} <= {row.strip() for row in rows}


def test_the_number_of_forbidden_system_calls_is_right() -> None:
    assert f"{len(jail.FORBIDDEN)} system calls that no scan needs" in PAGE


def test_every_file_that_the_table_names_is_there() -> None:
    assert [
        path for path in re.findall(r"`((?:services|system|deploy)/\w+\.py)`", PAGE) if not (ROOT / "src/gatepost" / path).exists()
    ] == []


def test_every_user_of_ours_is_in_the_table() -> None:
    assert [one.name for one in PEOPLE if one.name not in PAGE] == []


def test_the_table_of_rights_has_every_process_that_has_rights() -> None:
    rights = PAGE.partition("## Who may ask the keeper")[2].partition("\n## ")[0]

    assert [process for process in MAY if f"\n| {process} |" not in rights] == []
