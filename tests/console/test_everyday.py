"""The everyday of the console in a real browser: who sees what, finding, releasing, asking the firewall, proving, reading, answering."""

from __future__ import annotations

import json

import pytest
from tests.integrity.conftest import EVERYTHING
from tests.support.browser import enter
from tests.support.console import HOSTILE, PASSWORD, SCRIPT, House
from tests.support.journal import finding, judged

from gatepost.console.rights import Role, may
from gatepost.console.screens import firewall
from gatepost.console.sessions import Link
from gatepost.console.visit import MENU
from gatepost.integrity.baseline import Watched, make_baseline
from gatepost.integrity.check import Options, check
from gatepost.integrity.state import State

RAW = b"From: ann@partner.example\r\nSubject: Offer\r\n\r\nbytes \xff\r\n"


@pytest.mark.parametrize("role", list(Role))
def test_each_role_sees_its_screens_and_begins_where_its_day_does(home: House, address: str, browser, role: Role) -> None:
    home.console.accounts.add("somebody", role, PASSWORD, "joe@widget.example" if role is Role.USER else "")
    page = browser.new_page()
    page.goto(address + "/login")
    page.fill("#name", "somebody")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_selector("nav a[aria-current]")

    assert page.locator("header nav a").all_inner_texts() == [name for right, _path, name in MENU if may(role, right)]
    assert page.locator("h1").inner_text()


def test_a_mail_is_searched_read_looked_into_and_released_with_everything_said_before(home: House, address: str, browser) -> None:
    home.journal.append([judged(number) for number in range(30)], sync=False)
    home.hold(1, HOSTILE, subject=SCRIPT, findings=[finding("banned", SCRIPT, "banned")])
    page = browser.new_page()
    enter(page, address)
    page.fill("input[name=subject]", "document.title")
    page.click("text=Search")
    assert page.locator("table.mails tbody tr").count() == 1
    page.click("table.mails tbody a")
    assert "Deciding rule" in page.inner_text("main")
    page.click("text=Look into it safely")
    page.click("button[value=release]")
    told = page.inner_text("main")
    assert all(words in told for words in ("mail.widget.example:25", "would take it", "250 2.1.5 ok", str(len(HOSTILE))))
    page.check("input[name=alarm]")
    page.click("text=Release now")
    page.wait_for_selector(".done")

    assert [data for _envelope, data in home.desk.sent] == [HOSTILE]
    assert home.journal.newest("feedback.false-alarm")[0].data["by"] == "anna"
    assert "pwned" not in page.title()


def test_a_one_time_link_shows_and_its_button_releases_once(home: House, address: str, browser) -> None:
    identifier = home.hold(1, RAW)
    path = "/link/" + home.console.sessions.make_link(Link("release", identifier, "joe@widget.example"), 3600)
    page = browser.new_context(java_script_enabled=False).new_page()
    for _ in range(5):
        page.goto(address + path)
    assert home.desk.sent == []
    page.click("text=Release now")

    assert "on its way to you" in page.inner_text("main")
    assert len(home.desk.sent) == 1
    assert page.goto(address + path).status == 410


def test_the_firewall_is_asked_and_answers_with_verdict_rule_reason_and_owner(perimeter: House, address: str, browser) -> None:
    page = browser.new_page()
    enter(page, address, then="/firewall")
    page.fill("input[name=source]", "internet")
    page.fill("input[name=destination]", "adminpc")
    page.fill("input[name=service]", "tcp/445")
    page.click("button:has-text('Ask')")
    assert "NO" in page.inner_text(".answer")
    page.fill("input[name=source]", "relay")
    page.fill("input[name=destination]", "mailserver")
    page.fill("input[name=service]", "smtp")
    page.click("button:has-text('Ask')")
    yes = page.inner_text(".answer")
    page.fill("input[name=destination]", "nowhere")
    page.click("button:has-text('Ask')")

    assert all(words in yes for words in ("YES", "Scanned mail goes to the internal mail server", "administrator", "passed in chain"))
    assert "nowhere" in page.inner_text(".problem")


def test_the_proof_is_made_in_the_browser_and_stands_there_with_its_date(perimeter: House, address: str, browser, monkeypatch) -> None:
    page = browser.new_page()
    enter(page, address, then="/firewall")
    assert "not proved yet" in page.inner_text(".light")
    page.click("text=Prove again")
    page.wait_for_url(address + "/firewall")
    newest = perimeter.journal.newest(firewall.PROVED, 1)[0]

    assert newest.data["of"] == "written"
    assert "not proved yet" not in page.inner_text(".light")
    assert "2023-11-16" in page.inner_text(".light")


def test_a_report_is_downloaded(home: House, address: str, browser) -> None:
    home.journal.append([judged(1, "rejected", findings=[finding()])], sync=False)
    page = browser.new_page()
    enter(page, address, then="/reports")
    for label, begins in (("One page for management text", b"Company Widget"), ("Viruses caught csv", b"time")):
        with page.expect_download() as waiting:
            page.click(f"a[aria-label='{label}']")
        assert begins in waiting.value.path().read_bytes()[:200]


def test_the_interview_is_filled_in_and_its_risks_are_dealt_with(home: House, address: str, browser) -> None:
    home.console.accounts.add("harriet", Role.HR, PASSWORD)
    page = browser.new_page()
    enter(page, address, "harriet", "/risks")
    page.click("text=Begin the interview")
    page.click("nav.chips a:has-text('IT')")
    page.fill("#q-company", "Company Widget")
    page.fill("#q-relay", "not an address")
    page.select_option("#q-rules-origin", "copied")
    page.fill("input[name='machines:0:machine']", "server1")
    page.fill("input[name='machines:0:duties']", "mail, files")
    page.click("text=Keep these answers")
    assert "does not appear to be an IPv4 or IPv6 address" in page.inner_text("main")
    assert page.input_value("#q-relay") == "not an address"
    page.goto(address + "/risks")
    risk = page.locator("#no-firewall-policy")
    assert "Nobody knows what the firewall lets pass" in risk.inner_text()
    assert "server1" in page.inner_text("main")
    risk.locator("summary").click()
    for name, text in (("who", "harriet"), ("until", "2030-01-01"), ("why", "next quarter")):
        risk.locator(f"input[name={name}]").fill(text)
    risk.locator("button[value=accept]").click()

    assert "accepted by harriet until 2030-01-01: next quarter" in page.inner_text("#no-firewall-policy")


def test_integrity_findings_are_accepted_with_who_and_why(home: House, address: str, browser) -> None:
    root, state = home.desk.folder / "root", State(home.desk.folder / "integrity")
    root.mkdir()
    (root / "hosts").write_text("before")
    state.prepare()
    watched = Watched(EVERYTHING, state, root, "server1")
    make_baseline(watched, "tester", "test", state.host_key(), lambda _: None)
    (root / "hosts").write_text("after, and longer")
    check(watched, Options(full=True), lambda _: None)
    page = browser.new_page()
    enter(page, address, then="/integrity")
    page.check("input[name=finding] >> nth=0")
    page.fill("#why", "the new printer")
    page.click("text=Accept the chosen changes")

    assert "anna: the new printer" in page.inner_text("main")
    assert [(record.who, record.why) for record in state.ledger().records][-1] == ("anna", "the new printer")


def test_a_braked_signature_is_undone(home: House, address: str, browser) -> None:
    page = browser.new_page()
    enter(page, address, then="/engines")
    page.click("text=Undo, and release what only it held")

    assert "3 recipients got the mail" in page.inner_text("main")
    assert home.desk.undone == [("clamav", "Win.Broad-1", "anna")]


def test_a_security_key_is_added_and_then_no_password_alone_lets_in(home: House, address: str, browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    key = context.new_cdp_session(page)
    key.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasResidentKey": False, "hasUserVerification": True, "isUserVerified": True}
    made = key.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    enter(page, address, then="/account")
    page.fill("#label", "blue key")
    page.click("text=Add this key")
    page.wait_for_selector("text=blue key,")
    assert home.console.accounts.find("anna").has_keys
    context.clear_cookies()
    page.goto(address + "/login")
    page.fill("#name", "anna")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_selector("text=Touch your security key")
    assert "gatepost" not in {cookie["name"] for cookie in context.cookies()}
    page.click("text=Use the key")
    page.wait_for_url(address + "/overview")
    # A stranger's key of the same make, with the right password, does not let in.
    context.clear_cookies()
    key.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": made["authenticatorId"]})
    key.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto(address + "/login")
    page.fill("#name", "anna")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_selector("text=Touch your security key")
    page.evaluate("document.querySelector('[name=credential]').value = " + json.dumps('{"id": "AA", "rawId": "AA"}'))
    page.click("text=Use the key")

    page.wait_for_selector("text=did not prove who you are")
    assert page.goto(address + "/overview").url.startswith(address + "/login")
