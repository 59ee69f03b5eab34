"""The table of processes has all of them, and the jail is described as it is."""

import re
from pathlib import Path

from gatepost.system import jail

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs/processes.md").read_text()


def test_every_process_that_the_gateway_starts_is_in_the_table() -> None:
    started = re.findall(r'Child\(f?"([a-z ]+)', (ROOT / "src/gatepost/services/gateway.py").read_text())
    rows = re.findall(r"^\| ([a-z ]+)", PAGE, re.MULTILINE)

    assert started
    assert {name.strip() for name in started} <= {row.strip() for row in rows}


def test_the_number_of_forbidden_system_calls_is_right() -> None:
    assert f"{len(jail.FORBIDDEN)} system calls that no scan needs" in PAGE


def test_every_file_that_the_table_names_is_there() -> None:
    assert [path for path in re.findall(r"`((?:services|system)/\w+\.py)`", PAGE) if not (ROOT / "src/gatepost" / path).exists()] == []
