"""`gatepost site`: errors like those of a good compiler, and a site that shows itself whole."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from typer.testing import CliRunner

from gatepost.cli.site import app
from gatepost.site.load import load, loads

ROOT = Path(__file__).resolve().parents[2]
WIDGET = ROOT / "examples/widget/site.toml"
BROKEN = ROOT / "tests/site/golden/broken.toml"


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_good_site_is_ok_in_one_line() -> None:
    result = run("check", WIDGET)
    assert result.exit_code == 0
    assert result.output == f"ok {WIDGET}: Company Widget, mail for widget.example goes on to mailserver:25\n"


def test_a_broken_site_names_every_problem_with_its_line_and_is_status_1() -> None:
    result = run("check", BROKEN)
    assert result.exit_code == 1
    assert (
        f'{BROKEN}:6: error: mail.next_hpo: there is no such key\n    6 | next_hpo = "mailsrv:25"\n      = did you mean next_hop?\n'
        in result.output
    )
    assert result.output.endswith("12 problems; nothing was changed\n")
    assert run("show", BROKEN).exit_code == 1


def test_problems_for_programs_are_json() -> None:
    result = run("check", "--json", BROKEN)
    found = json.loads(result.output)
    assert not found["ok"]
    assert [problem["line"] for problem in found["problems"]] == sorted(problem["line"] for problem in found["problems"])
    assert json.loads(run("check", "--json", WIDGET).output) == {"ok": True, "problems": [], "remarks": []}


def test_what_is_shown_is_a_site_file_that_means_the_same() -> None:
    result = run("show", WIDGET)
    assert loads(result.output) == load(WIDGET)
    assert tomllib.loads(result.output)["quarantine"]["encrypt"] is True


def test_json_is_the_same_site() -> None:
    assert json.loads(run("show", "--json", WIDGET).output)["mail"]["domains"] == ["widget.example"]


def test_a_file_that_is_not_there_is_said(tmp_path) -> None:
    result = run("check", tmp_path / "nothing.toml")
    assert result.exit_code == 1
    assert "the site file cannot be read: No such file or directory" in result.output


def test_what_a_file_says_is_never_markup(tmp_path) -> None:
    """Square brackets and escapes of a site file must come out as they are."""
    (tmp_path / "site.toml").write_text('[site]\nname = "x"\n[mail]\ndomains = ["[red]x y[/red]"]\nnext_hop = "h.example:25"\n')
    assert "'[red]x y[/red]' is not a domain" in run("check", tmp_path / "site.toml").output


OLD = ROOT / "tests/site/golden/old/spread.toml"


def test_an_upgrade_shows_its_difference_with_reasons_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_bytes(OLD.read_bytes())
    result = run("upgrade", file)

    assert result.exit_code == 1
    assert f"{file}:12: mail.smtp.mode: it did nothing" in result.output
    assert '\n-mode = "filter"  # goes with its key\n' in result.output
    assert result.output.endswith(f"nothing was changed; gatepost site upgrade {file} --write writes it\n")
    assert file.read_bytes() == OLD.read_bytes()
    assert list(tmp_path.iterdir()) == [file]


def test_an_upgrade_on_request_keeps_the_old_file_the_mode_and_the_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real.toml", tmp_path / "site.toml"
    link.symlink_to(file)
    for copies in (1, 2):
        file.write_bytes(OLD.read_bytes())
        file.chmod(0o640)
        assert run("upgrade", link, "--write").exit_code == 0
        assert len(list(tmp_path.glob("real.toml.old*"))) == copies

    assert link.is_symlink()
    assert file.read_bytes() == OLD.with_suffix(".expected").read_bytes()
    assert {path.read_bytes() for path in tmp_path.glob("real.toml.old*")} == {OLD.read_bytes()}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("real.toml*")} == {0o640}
    assert run("upgrade", link).output == f"ok {link}: nothing in it is of an older form\n"


def test_an_upgrade_of_what_cannot_be_read_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("name = ")
    for file in (tmp_path / "site.toml", tmp_path / "none.toml"):
        result = run("upgrade", file)
        assert result.exit_code == 2
        assert result.output.count("\n") == 1


def test_the_same_software_in_two_layers_is_a_remark_and_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(WIDGET.read_text().replace("[hosts.mailserver]\n", '[hosts.mailserver]\nsoftware = "postfix"\n'))
    result = run("check", file)

    assert result.exit_code == 0
    assert "remark: postfix runs on relay and mailserver: one hole in it opens all of them\n" in result.output
    assert "gatepost why same-mta" in result.output
    (remark,) = json.loads(run("check", file, "--json").output)["remarks"]
    assert remark["layers"] == ["relay", "mailserver"]
    assert json.loads(run("check", WIDGET, "--json").output)["remarks"] == []
