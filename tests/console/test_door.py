"""Nobody gets where they may not, no form counts that is not ours, and every answer carries the same strict headers."""

from __future__ import annotations

import re

import pytest
from tests.support.console import HOSTILE, SCRIPT, House, field_of

from gatepost.console.app import SCREENS
from gatepost.console.rights import Right, Role, may

GETS = [screen for screen in SCREENS if screen.method == "GET"]


def path_of(screen, identifier: str) -> str:
    return screen.path.replace("{id}", identifier).replace("{token}", "none").replace("{form}", "text")


@pytest.mark.parametrize("role", list(Role))
def test_each_role_gets_the_screens_of_its_rights_and_no_other(home: House, role: Role) -> None:
    identifier = home.hold(1, b"Subject: x\r\n\r\nx\r\n")
    person = home.person(role)
    for screen in GETS:
        status = person.get(path_of(screen, identifier)).status_code
        if not may(role, screen.right):
            assert status == 403, screen.path
        else:
            assert status in {200, 303, 400, 404, 409, 410}, (screen.path, status)


@pytest.mark.parametrize(
    "screen", [screen for screen in SCREENS if screen.right is not Right.ANYBODY], ids=lambda one: f"{one.method} {one.path}"
)
def test_without_a_login_every_screen_leads_to_the_form(home: House, screen) -> None:
    answer = home.client().request(screen.method, path_of(screen, "X"))

    if screen.path.startswith("/api/"):
        assert answer.status_code == 401
    else:
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")


@pytest.mark.parametrize("path", ["/quarantine/act", "/quarantine/confirm", "/logout", "/settings"])
def test_a_form_without_the_sessions_mark_does_nothing(home: House, path: str) -> None:
    identifier = home.hold(1, b"Subject: x\r\n\r\nx\r\n")
    person = home.person()
    sent = {"act": "release", "pick": f"{identifier} joe@widget.example"}

    assert person.post(path, data=sent).status_code == 403
    assert person.post(path, data=sent | {"form": "0" * 64}).status_code == 403
    assert home.desk.sent == []
    assert person.get("/overview").status_code == 200


def test_a_form_from_another_site_does_nothing(home: House) -> None:
    identifier = home.hold(1, b"Subject: x\r\n\r\nx\r\n")
    person = home.person()
    sent = {"form": field_of(person.get("/quarantine").text, "form"), "act": "release", "pick": f"{identifier} joe@widget.example"}

    assert person.post("/quarantine/act", data=sent, headers={"Origin": "https://evil.example"}).status_code == 403
    assert person.post("/quarantine/act", data=sent, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert home.desk.sent == []


def test_a_form_of_another_kind_or_size_is_refused(home: House) -> None:
    person = home.person()

    assert person.post("/quarantine/act", content=b"{}", headers={"Content-Type": "application/json"}).status_code == 415
    assert person.post("/quarantine/act", data={"pick": "x" * (1 << 20)}).status_code == 413


def test_a_request_for_another_host_is_refused(home: House) -> None:
    assert home.client().get("/login", headers={"Host": "evil.example"}).status_code == 400


def test_every_answer_has_the_strict_headers_and_no_page_has_anything_inline(home: House) -> None:
    identifier = home.hold(1, HOSTILE, subject=SCRIPT, sender="evil@partner.example")
    person = home.person()
    for screen in GETS:
        answer = person.get(path_of(screen, identifier))
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, screen.path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if answer.headers.get("content-type", "").startswith("text/html"):
            tags = re.findall(r"<[a-z][^>]*>", answer.text)
            assert not [tag for tag in tags if re.search(r"\s(style|on\w+)\s*=", tag)], screen.path
            assert "<style" not in answer.text
            assert re.findall(r"<script[^>]*>", answer.text) == [
                '<script src="/static/console.js" defer>',
                '<script src="/static/passkeys.js" defer>',
            ]
            assert "http" not in "".join(re.findall(r'(?:src|href)="([^"]*)"', answer.text))
    for path in ("/nowhere", "/static/none", "/static/console.css"):
        assert "Content-Security-Policy" in person.get(path).headers, path


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(home: House) -> None:
    from tests.support.console import login

    home.person()
    cookie = login(home.client(), "administrator").headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=lax" in cookie
