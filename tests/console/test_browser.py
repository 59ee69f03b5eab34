"""The console in a real browser: mail that means harm runs nothing there, and everything works without scripts."""

from __future__ import annotations

import pytest
from tests.support.browser import enter
from tests.support.console import HOSTILE, SCRIPT, House
from tests.support.journal import finding

from gatepost.console.sessions import Link


def test_a_hostile_mail_runs_nothing_and_fetches_nothing_on_any_screen(home: House, address: str, browser) -> None:
    found = [finding("banned", SCRIPT, "banned") | {"part": SCRIPT, "detail": SCRIPT}]
    hostile = {
        "subject": SCRIPT,
        "sender": f'"{SCRIPT}"@partner.example',
        "client_name": SCRIPT,
        "helo": SCRIPT,
        "reply": SCRIPT,
        "message_id": SCRIPT,
    }
    identifier = home.hold(1, HOSTILE, findings=found, **hostile)
    page = browser.new_page()
    strange, dialogs = [], []
    page.on("request", lambda request: strange.append(request.url) if not request.url.startswith(address) else None)
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    enter(page, address)
    link = home.console.sessions.make_link(Link("release", identifier, "joe@widget.example"), 3600)
    paths = (
        "/overview",
        "/messages",
        f"/messages/{identifier}",
        "/quarantine",
        f"/quarantine/{identifier}",
        "/engines",
        "/reports",
        f"/link/{link}",
    )
    for path in paths:
        page.goto(address + path)
        page.wait_for_timeout(50)
        assert "pwned" not in page.title(), path
        assert page.locator("main img[src=x], main script").count() == 0, path
    page.goto(f"{address}/quarantine/{identifier}")
    assert "document.title='pwned'" in page.inner_text("main")
    page.click("button[value=release]")
    assert SCRIPT in page.inner_text("main")
    assert (strange, dialogs) == ([], [])


def test_even_if_a_script_got_into_a_page_the_browser_would_not_run_it(address: str, browser) -> None:
    page = browser.new_page()
    page.goto(address + "/login")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=`pwned`\">')")
    page.wait_for_timeout(200)

    assert "pwned" not in page.title()


def test_a_mail_is_found_looked_into_and_released_without_scripts(home: House, address: str, browser) -> None:
    raw = b"From: ann@partner.example\r\nSubject: Offer\r\n\r\nbytes \xff\r\n"
    home.hold(1, raw)
    page = browser.new_context(java_script_enabled=False).new_page()
    enter(page, address)
    page.fill("input[name=sender]", "@partner.example")
    page.click("text=Search")
    page.click("text=Offer number 1")
    page.click("text=Look into it safely")
    page.click("button[value=release]")
    assert str(len(raw)) in page.inner_text("main")
    page.click("text=Release now")

    assert "taken by the next hop" in page.inner_text("main")
    assert [data for _envelope, data in home.desk.sent] == [raw]


def test_the_keyboard_alone_is_enough(home: House, address: str, browser) -> None:
    home.hold(1, b"Subject: x\r\n\r\nx\r\n")
    page = browser.new_page()
    enter(page, address)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "sender"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/messages/*")

    assert "What became of it" in page.inner_text("main")


LUMINANCE = """() => {
  const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const numbers = s => s.match(/[\\d.]+/g).map(Number);
  const ground = e => { for (; e; e = e.parentElement) { const c = numbers(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    if (e.closest("svg, .skip, .unseen") || !e.getClientRects().length) continue;
    const [a, b] = [light(numbers(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(e.outerHTML.slice(0, 120));
  }
  return bad;
}"""

UNNAMED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, button, a, img")].filter(e =>
  !(e.labels && e.labels.length) && !e.getAttribute("aria-label") && !e.textContent.trim() && !e.alt).map(e => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_the_contrast_of_wcag_aa_and_controls_have_names(home: House, address: str, browser, scheme: str) -> None:
    identifier = home.hold(1, HOSTILE, findings=[finding()])
    page = browser.new_context(color_scheme=scheme, viewport={"width": 400, "height": 800}).new_page()
    enter(page, address)
    for path in (
        "/overview",
        "/messages",
        f"/messages/{identifier}",
        "/quarantine",
        f"/quarantine/{identifier}",
        "/engines",
        "/reports",
        "/people",
        "/integrity",
    ):
        page.goto(address + path)
        assert page.evaluate(LUMINANCE) == [], path
        assert page.evaluate(UNNAMED) == [], path
        assert page.evaluate("[document.documentElement.lang, document.querySelectorAll('h1').length]") == ["en", 1]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
