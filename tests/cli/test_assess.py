"""`gatepost assess`, `why`, `hold` and the documents of `gatepost report`, as a new user meets them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatepost.report import render
from gatepost.site.load import load

WIDGET = Path(__file__).resolve().parent.parent.parent / "examples/widget"
SHORT = (
    "Company Widget", "anna@widget.example", "widget.example", "eth0 203.0.113.1", "eth1 192.168.2.1/24", "eth2 192.168.3.1/24", "192.168.2.3",
    "203.0.113.25", "192.168.3.45", "198.51.100.53", "192.168.3.10", "https | internal | internet | Employees read the web. | supervisor", "",
)  # fmt: skip


def run(*words: str, given: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(import_module(f"gatepost.cli.{words[0]}").app, list(words[1:]), input=given)
    return result.exit_code, result.output


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "assessment.toml")


def test_the_short_way_can_be_left_and_taken_up_again_and_gives_a_site_file(file: str, tmp_path: Path) -> None:
    half = run("assess", "--short", "--file", file, given="\n".join(SHORT[:5]) + "\n")
    rest = run("assess", "--short", "--file", file, given="nonsense\n" + "\n".join(SHORT[5:]) + "\n")
    made = run("assess", "documents", str(tmp_path / "papers"), "--file", file)

    assert "5 of 12 answered" in half[1]
    assert "12 of 12 answered" in rest[1]
    assert "! internal-network" in rest[1]
    assert made[0] == 0, made[1]
    assert load(tmp_path / "papers/site.toml").site.name == "Company Widget"
    assert (tmp_path / "papers/decision.html").exists() or not render.has_pdf()


def test_documents_before_the_answers_name_what_is_missing(file: str, tmp_path: Path) -> None:
    code, said = run("assess", "documents", str(tmp_path), "--file", file)

    assert code == 2
    assert "company" in said


def test_an_employee_fills_in_a_sheet(file: str) -> None:
    code, said = run("assess", "--for", "employees", "--file", file, "--language", "de", given="Vertrieb\n2\n9\n1\n")
    state = json.loads(run("assess", "--json", "--file", file)[1])

    assert code == 0
    assert "Finden Sie eine Datei wieder" in said
    assert "! e-attachment" in said
    assert state["sheets"] == 1
    assert state["literacy"]["score"] == 50


def test_paper_risks_and_decisions_about_them(file: str) -> None:
    assert "115 answers" in run("assess", "enter", str(WIDGET / "interview.txt"), "--file", file)[1]
    assert "gatepost why NAME" in run("assess", "risks", "--file", file)[1]
    assert run("assess", "risk", "line", "--accept", "boss", "--file", file)[0] == 2
    accepted = run("assess", "risk", "line", "--accept", "boss", "--until", "2099-01-01", "--why", "a new line comes", "--file", file)
    assert "accepted by boss until 2099-01-01" in accepted[1]
    assert "+ middle: The company answers for its own mail" in run("assess", "change", "host-own-mail", "--file", file)[1]
    assert run("assess", "change", "nothing", "--file", file)[0] == 2


@pytest.mark.parametrize("report", ["policy", "risks", "decision", "firewall", "integrity"])
def test_each_document_can_be_written_for_a_site(report: str, tmp_path: Path) -> None:
    from gatepost.journal.store import SqliteJournal

    site = tmp_path / "site.toml"
    text = (WIDGET / "site.toml").read_text()
    site.write_text(text.replace('name = "Company Widget"', f'name = "Company Widget"\nstate = "{tmp_path}"', 1))
    SqliteJournal(tmp_path / "journal.sqlite").close()
    run("assess", "enter", str(WIDGET / "interview.txt"), "--file", str(tmp_path / "console/assessment.toml"))
    code, said = run("report", report, "--site", str(site))

    assert code == 0, said
    assert "Company Widget" in said


def test_the_page_of_a_month_is_mailed_to_those_whom_the_site_names(tmp_path: Path) -> None:
    from gatepost.journal.store import SqliteJournal
    from gatepost.services.playground import Mailbox, free_port

    taken, port = [], free_port()
    Mailbox(port, lambda envelope, content: taken.append((envelope.recipients, content))).start()
    SqliteJournal(tmp_path / "journal.sqlite").close()
    site = tmp_path / "site.toml"
    site.write_text(
        f'[site]\nname = "W"\nstate = "{tmp_path}"\n[mail]\ndomains = ["widget.example"]\nnext_hop = "127.0.0.1:{port}"\n'
        '[report]\nto = ["ceo@widget.example"]\n'
    )
    code, said = run("report", "send", "--month", "2026-11", "--site", str(site))

    assert code == 0, said
    assert "ceo@widget.example: 250" in said
    assert taken[0][0] == ("ceo@widget.example",)
    assert b"No mail came through the gateway" in taken[0][1]
    assert (b"application/pdf" in taken[0][1]) == render.has_pdf()


def test_the_guide_answers_and_helps_with_a_misspelt_name() -> None:
    assert "A mail carries a virus" in run("why", "virus")[1]
    assert "mail-unchecked" in run("why")[1]
    code, said = run("why", "vurus")
    assert (code, "did you mean" in said) == (2, True)


def test_a_hold_is_off_until_the_site_names_two_approvers(tmp_path: Path) -> None:
    code, said = run(
        "hold",
        "ask",
        "bob@widget.example",
        "--from",
        "2026-11-01",
        "--until",
        "2026-12-01",
        "--why",
        "x",
        "--site",
        str(WIDGET / "site.toml"),
    )

    assert code == 2
    assert "switched off" in said
