"""Each kind of finding that the code can make has its page, on the terminal and in the documentation."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gatepost.assess.known import RISKS
from gatepost.integrity.compare import ChangeKind
from gatepost.mail.model import Kind
from gatepost.report.why import hint, page, pages
from tests.docs.whys import DOCS, made

SOURCE = Path(__file__).resolve().parent.parent.parent / "src/gatepost/firewall"


def firewall_names() -> set[str]:
    """The name of every finding that the firewall's modules make."""
    names = set()
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                first = node.args[0]
                if isinstance(first, ast.JoinedStr):
                    names.add(str(getattr(first.values[0], "value", "")) + "input")
                elif isinstance(first, ast.Constant):
                    names.add(str(first.value))
    return names


def test_every_kind_of_finding_has_a_page() -> None:
    wanted = {f"mail-{kind}" for kind in Kind} | {f"integrity-{kind}" for kind in ChangeKind} | {f"risk-{known.id}" for known in RISKS}
    wanted |= firewall_names()

    assert len(firewall_names()) > 20
    assert sorted(name for name in wanted if page(name) is None) == []


def test_every_page_says_why_and_what_to_do_and_no_two_have_one_name() -> None:
    assert all(len(one.why) > 20 and len(one.do) > 5 and one.title for one in pages())
    assert len({one.id for one in pages()}) == len(pages())


def test_the_pages_of_the_documentation_are_those_of_the_code() -> None:
    there = {f"why/{path.name}": path.read_text() for path in (DOCS / "why").glob("*.md")}

    assert there == made(), "make them again with: .venv/bin/python -m tests.docs.whys"


def test_a_finding_leads_to_its_page() -> None:
    assert hint(["mail-virus", "mail-virus", "firewall-policy-input", "nothing"]) == (
        "Why this matters: gatepost why mail-virus, gatepost why firewall-policy"
    )
    assert not hint(["nothing"])


@pytest.mark.parametrize("name", ["virus", "mail-virus", "policy-input", "risk-leftovers"])
def test_a_page_is_found_by_its_id_and_by_the_name_of_a_finding(name: str) -> None:
    assert page(name)
