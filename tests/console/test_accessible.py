"""Every screen is accessible: axe finds nothing on it, in light and dark, English and German, wide and narrow."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support.browser import enter
from tests.support.console import HOSTILE, House
from tests.support.journal import finding

from gatepost.assess import store
from gatepost.assess.interview import entered
from gatepost.assess.model import Assessment, Audience
from gatepost.console.sessions import Link
from gatepost.console.visit import MENU

FOUND = find_spec("axe_playwright_python")
WIDGET = Path(__file__).parents[2] / "examples/widget/interview.txt"
RUN = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations']})"

pytestmark = pytest.mark.skipif(FOUND is None, reason="needs axe-playwright-python, which brings axe-core")


@pytest.mark.parametrize(("scheme", "language", "width"), [("light", "en", 1400), ("dark", "de", 390)])
def test_axe_finds_nothing(perimeter: House, address: str, browser, scheme: str, language: str, width: int) -> None:
    identifier = perimeter.hold(1, HOSTILE, findings=[finding()])
    store.save(store.path_in(Path(perimeter.console.site.site.state)), entered(Assessment(), WIDGET.read_text())[0])
    link = perimeter.console.sessions.make_link(Link("release", identifier, "joe@widget.example"), 3600)
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    context.add_cookies([{"name": "language", "value": language, "url": address}])
    page = context.new_page()
    assert FOUND is not None
    axe = (Path(str(FOUND.origin)).parent / "axe.min.js").read_text()
    page.goto(address + "/login")
    wrong = _wrong(page, axe, "/login")
    enter(page, address)
    paths = [path for _right, path, _name in MENU]
    paths += [f"/messages/{identifier}", f"/quarantine/{identifier}", f"/link/{link}", "/account", "/nowhere", "/quarantine/NOSUCH"]
    paths += [f"/interview?group={group}" for group in Audience]
    paths += ["/firewall?source=relay&destination=mailserver&service=smtp", "/site?plan=relay"]
    for path in paths:
        page.goto(address + path)
        wrong += _wrong(page, axe, path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
    page.goto(f"{address}/quarantine/{identifier}")
    page.click("button[value=release]")
    wrong += _wrong(page, axe, "confirm")

    assert wrong == []


def _wrong(page, axe: str, path: str) -> list[str]:
    """What axe finds on the page that stands there."""
    if not page.locator("html[lang]").count():
        return []
    page.evaluate(axe)
    return [f"{path}: {one['id']}: {json.dumps(one['nodes'][0]['html'])[:160]}" for one in page.evaluate(RUN)["violations"]]
