"""What the manual tells an administrator to write is right: each site file, each command, each rule's name."""

import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from gatepost.cli.main import SUBJECTS
from gatepost.mail.decide.policy import DEFAULTS
from gatepost.mail.model import Direction, Disposition, Kind
from gatepost.site.load import loads
from tests.docs.pages import module

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*(ROOT / "docs/manual").glob("*.md"), ROOT / "README.md", ROOT / "docs/writing-an-engine.md"])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SMALL = '[site]\nname = "Company Widget"\n[mail]\ndomains = ["widget.example"]\nnext_hop = "192.168.3.45:25"\n'
SITES = [
    (page, text) for page in PAGES for language, text in BLOCK.findall(page.read_text()) if language == "toml" and "[project" not in text
]
COMMANDS = [
    line.strip()
    for page in PAGES
    for language, text in BLOCK.findall(page.read_text())
    if language == "sh"
    for line in text.splitlines()
    if line.startswith("gatepost ")
]
COMMANDS += [found for page in PAGES for found in re.findall(r"`(gatepost [a-z][^`\n]*)`", page.read_text())]
SUBJECT = re.compile(r"[a-z][a-z-]*")


@pytest.mark.parametrize(("page", "text"), SITES, ids=lambda value: value.stem if isinstance(value, Path) else value.splitlines()[0])
def test_each_piece_of_a_site_file_in_the_manual_is_right(page: Path, text: str) -> None:
    assert loads(text if "[site]" in text else SMALL + text)


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words behind its name."""
    assert words[0] in SUBJECTS, words
    command: Any = typer.main.get_command(import_module(f"gatepost.cli.{module(words[0])}").app)
    rest = words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize("line", sorted(set(COMMANDS)))
def test_each_command_in_the_manual_exists_with_its_options(line: str) -> None:
    words = shlex.split(line.split("|", maxsplit=1)[0])[1:]
    if words[0] in {"SUBJECT", "--version", "--help"}:
        return
    command, rest = command_of(words)
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}

    unknown = [word for word in rest if word.startswith("--") and word not in options]
    subcommand = [word for word in rest[:1] if getattr(command, "commands", None) and SUBJECT.fullmatch(word)]
    assert unknown == []
    assert subcommand == []


def test_the_table_of_defaults_says_what_the_policy_does() -> None:
    kept = {Kind.BANNED, Kind.SPAM, Kind.SUSPECT, Kind.AMBIGUOUS, Kind.ENCRYPTED}
    table = (ROOT / "docs/manual/how-to.md").read_text().partition("### What happens without a rule")[2]
    said = {row[0]: row[1] for row in re.findall(r"^\| ([a-z]+)[^|]*\|[^|]*\| ([^|]+) \|", table, re.MULTILINE)}

    for direction in Direction:
        stopped = DEFAULTS[direction]
        assert {kind for kind in kept if stopped[kind] is Disposition.QUARANTINE and "kept" in said[kind]} == kept
        assert stopped[Kind.VIRUS] is Disposition.REJECT
    assert said["virus"].startswith("refused")
