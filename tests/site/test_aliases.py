"""Aliases that can never match are said, not swallowed."""

from __future__ import annotations

import pytest

from gatepost.site.aliases import check_aliases, parse_aliases, read_aliases

GOOD = """\
# who gets what
postmaster: root
Joe: joe@internalserver
"list owner": ann
sales: joe,
  ann
"""


def test_left_sides_and_targets_are_read_with_continued_lines() -> None:
    aliases, problems = parse_aliases(GOOD.replace('"list owner": ann\n', ""))
    assert aliases == {"postmaster": "root", "joe": "joe@internalserver", "sales": "joe, ann"}
    assert problems == []


@pytest.mark.parametrize(
    ("entry", "what", "remedy"),
    [
        ("joe shmoe: joe", "the name 'joe shmoe' has a space and can never match an address", "write it like joe.shmoe: joe"),
        ('"joe shmoe": joe', "the name 'joe shmoe' has a space and can never match an address", "write it like joe.shmoe: joe"),
        ("joe", "this is not an alias", "write name: target"),
        (": joe", "this is not an alias", "write name: target"),
        ("joe:", "'joe' has no target", "write joe: followed by an address"),
        ("jo<e: ann", "the name 'jo<e' can never match an address", "write the part before the @, or the whole address"),
        ("root: ann", "'root' is here twice", "keep one of them; separate several targets with commas"),
    ],
)
def test_a_left_side_that_can_never_match_is_reported_with_its_line(entry, what, remedy) -> None:
    _, (problem,) = parse_aliases(f"# aliases\nroot: ann\n{entry}\n", "aliases")
    assert (problem.file, problem.line, problem.what, problem.remedy) == ("aliases", 3, what, remedy)


def test_a_file_that_others_may_write_is_reported(tmp_path) -> None:
    """Who may write the aliases decides who reads the mail."""
    path = tmp_path / "aliases"
    path.write_text("root: ann\n")
    path.chmod(0o644)
    assert check_aliases(str(path)) == []
    assert read_aliases(path) == {"root": "ann"}
    path.chmod(0o664)
    assert [problem.remedy for problem in check_aliases(str(path))] == [f"run chmod 644 {path}"]


def test_no_file_is_no_problem_and_bytes_that_are_no_text_are() -> None:
    assert check_aliases(None) == []


def test_a_file_that_is_no_text_is_reported(tmp_path) -> None:
    (tmp_path / "aliases").write_bytes(b"\xff: x\n")
    assert "UTF-8" in check_aliases(str(tmp_path / "aliases"))[0].what
