"""Every text of the screens has its German."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.console import House

import gatepost.console
from gatepost.assess import catalogue
from gatepost.assess import risks as risks_module
from gatepost.assess.model import Audience
from gatepost.console.listing import VERDICTS
from gatepost.console.rights import Role
from gatepost.console.screens import engines, firewall
from gatepost.console.screens.documents import OFFERS
from gatepost.console.visit import MENU
from gatepost.journal.states import State
from gatepost.mail.inspect.brake import Mode
from gatepost.report.story import KINDS

FOLDER = Path(gatepost.console.__file__).parent
GERMAN = json.loads((FOLDER / "languages/de.json").read_text(encoding="utf-8"))


def texts() -> set[str]:
    found: set[str] = set()
    for path in FOLDER.glob("templates/*.html"):
        found |= {match[2] for match in re.finditer(r"\bt\((['\"])(.*?)\1[,)]", path.read_text(encoding="utf-8"))}
    for path in FOLDER.glob("screens/*.py"):
        found |= set(re.findall(r'visit\.words\("([^"]*)"', path.read_text(encoding="utf-8")))
    return found


def dynamic() -> set[str]:
    """Words that templates show by their value."""
    questions = {one.section for one in catalogue.questions()} | {str(audience) for audience in Audience} | {"short"}
    risks = set(map(str, risks_module.State)) | set(risks_module.PHASES.values()) | {"grave", "middle", "small"}
    firewall_words = {*firewall.CHANGES, "refused", "attack", "flood", "scan"}
    brake = {*engines.BRAKE, *map(str, Mode), "passed", "failed", "required", "advisory", "switched off", "no longer declared"}
    files = {
        "create",
        "change",
        "remove",
        "conflict",
        "added",
        "removed",
        "changed",
        "unchecked",
        "forbidden",
        "critical",
        "high",
        "medium",
        "low",
    }
    offers = {offer.title for offer in OFFERS}
    return offers | questions | risks | firewall_words | brake | files


def test_no_text_lacks_its_german() -> None:
    told = (
        texts()
        | dynamic()
        | {name for _right, _path, name in MENU}
        | set(VERDICTS)
        | set(map(str, State))
        | set(map(str, Role))
        | set(KINDS.values())
    )

    assert sorted(told - GERMAN.keys()) == []


def test_places_for_values_are_the_same_in_both() -> None:
    places = re.compile(r"\{[^}]*\}")

    assert [text for text, german in GERMAN.items() if sorted(places.findall(text)) != sorted(places.findall(german))] == []


def test_who_chooses_german_gets_german(home: House) -> None:
    person = home.person()
    session = home.console.sessions.find(person.cookies["gatepost"])
    assert session is not None
    person.post("/settings", data={"form": session.form, "language": "de", "then": "/overview"})
    page = person.get("/overview").text

    assert '<html lang="de"' in page
    assert "Mails heute" in page
