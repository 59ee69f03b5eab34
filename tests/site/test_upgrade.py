"""An older site file becomes one of today, and nothing in it is touched but what changed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gatepost.site.changes import CHANGES
from gatepost.site.load import loads
from gatepost.site.problem import SiteError
from gatepost.site.upgrade import upgrade

ROOT = Path(__file__).resolve().parents[2]
OLD = sorted((ROOT / "tests/site/golden/old").glob("*.toml"))
GOOD = '[site]\nname = "Widget"\n[mail]\ndomains = ["widget.example"]\nnext_hop = "192.168.3.45:25"\n'


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_an_old_file_becomes_the_one_beside_it_which_is_right_and_stays(path: Path) -> None:
    done = upgrade(path.read_text())

    assert done.after == path.with_suffix(".expected").read_text()
    assert loads(done.after).site.name == "Widget"
    assert upgrade(done.after).steps == ()


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_an_old_file_is_refused_with_the_command_that_mends_it_and_nothing_else(path: Path) -> None:
    with pytest.raises(SiteError) as caught:
        loads(path.read_text(), "old.toml")

    assert {problem.remedy for problem in caught.value.problems} == {"gatepost site upgrade old.toml shows what to write"}
    assert [problem.line for problem in caught.value.problems] == [step.line for step in upgrade(path.read_text()).steps]


def test_every_change_of_the_table_stands_in_an_old_file() -> None:
    met = {step.change for path in OLD for step in upgrade(path.read_text()).steps}

    assert met == set(CHANGES)


def test_line_ends_of_other_systems_stay() -> None:
    text = (ROOT / "tests/site/golden/old/spread.toml").read_text()

    assert upgrade(text.replace("\n", "\r\n")).after == upgrade(text).after.replace("\n", "\r\n")


@pytest.mark.parametrize("end", ["", "\n", " # why\n", "\n# the last word"])
def test_a_key_that_is_gone_may_be_the_last_of_the_file(end: str) -> None:
    assert upgrade(GOOD + '[mail.smtp]\nmode = "proxy"' + end).after == GOOD + "[mail.smtp]\n" + (
        "# the last word" if "last" in end else ""
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{ mode = "proxy" }', "{  }"),
        ('{ lmtp = true, mode = "proxy" }', "{ lmtp = true }"),
        ('{ lmtp = true, mode = "proxy", trusted = [] }', "{ lmtp = true, trusted = [] }"),
    ],
)
def test_within_braces_a_key_goes_with_one_comma(before: str, after: str) -> None:
    done = upgrade(GOOD + f"smtp = {before}\n")

    assert done.after == GOOD + f"smtp = {after}\n"
    tomllib.loads(done.after)


def test_a_digest_that_never_came_still_never_comes() -> None:
    assert loads(upgrade(GOOD + '[console]\ndigest = "0d"\n').after).console.digest == {}


def test_where_the_new_name_is_taken_nothing_is_changed_and_it_is_said() -> None:
    text = GOOD + '[[publish]]\naddress = "203.0.113.1"\naddresses = ["203.0.113.2"]\n'
    done = upgrade(text)

    assert done.after == text
    assert [(step.line, step.blocked) for step in done.steps] == [(7, True)]


def test_a_file_of_today_is_left_alone() -> None:
    for path in ROOT.glob("examples/**/site*.toml"):
        assert upgrade(path.read_text()).steps == (), path
