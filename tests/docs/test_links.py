"""The documentation can be followed: links lead somewhere, and nothing in it belongs to one machine."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home)/\w")
SOURCE = re.compile(r"`((?:src/gatepost|tests|scripts|examples|docs)/[\w./-]+\.\w+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(page: Path) -> list[str]:
    prose = CODE.sub("", FENCED.sub("", page.read_text()))
    return [target for target in LINK.findall(prose) if not re.match(r"[a-z]+:", target)]


def test_there_are_pages_to_check() -> None:
    assert len(PAGES) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        headings = (
            {anchor(heading) for heading in HEADING.findall(FENCED.sub("", file.read_text()))}
            if file.suffix == ".md" and file.exists()
            else set()
        )
        if not file.exists() or (fragment and fragment not in headings):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_path_of_the_machine_it_was_written_on(page: Path) -> None:
    assert MACHINE.findall(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_the_repository_that_a_page_names_is_there(page: Path) -> None:
    assert [path for path in SOURCE.findall(page.read_text()) if not (ROOT / path).exists()] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "docs/index.md", ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        todo += [(page.parent / target.partition("#")[0]).resolve() for target in links(page) if target.partition("#")[0]]

    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in seen] == []


def test_every_source_file_that_the_way_of_a_mail_names_is_there() -> None:
    named = re.findall(r"`([a-z]+/(?:\w+/)*\w+\.py)`", (ROOT / "docs/flow.md").read_text())

    assert named
    assert [path for path in named if not (ROOT / "src/gatepost" / path).exists()] == []
