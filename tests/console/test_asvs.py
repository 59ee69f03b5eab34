"""The console against the list of OWASP ASVS 5.0, level 2, where nothing else tests it; each test names its chapter."""

from __future__ import annotations

import re

import pytest
from tests.support.console import HOSTILE, PASSWORD, House, login
from tests.support.journal import judged

from gatepost.console.accounts import MOST_PER_CLIENT
from gatepost.console.api import BASE
from gatepost.console.app import SCREENS
from gatepost.console.endpoints import ENDPOINTS
from gatepost.console.rights import RIGHTS, Right, Role
from gatepost.console.sessions import Link

LINES = "a\r\nSet-Cookie: x=y\r\n\r\n\x1b[2J\u202e"


def test_v1_a_mails_words_never_become_markup_a_header_or_a_new_line_of_csv(home: House) -> None:
    event = judged(1, subject=f'{LINES}"><script>1</script>', sender=f"=1+1{LINES}@x.example")
    home.journal.append([event], sync=False)
    person = home.person()
    for path in ("/messages", f"/messages/{event.subject}", "/messages.csv"):
        answer = person.get(path)
        assert "set-cookie" not in answer.headers
        assert "\x1b" not in answer.text
        assert "<script>1" not in answer.text or path.endswith("csv")
    (row,) = person.get("/messages.csv").text.splitlines()[1:]
    assert "'=1+1" in row


def test_v1_what_people_type_does_not_break_the_record_of_deeds(home: House) -> None:
    login(home.client(), f"anna{LINES}")
    (deed,) = home.console.accounts.deeds()

    assert deed[3] == "login failed"
    assert "\x1b" not in home.person().get("/people").text


def test_v2_two_releases_at_once_deliver_once(home: House) -> None:
    identifier = home.hold(1, b"Subject: x\r\n\r\nx\r\n")
    token = {"Authorization": f"Bearer {_token(home)}"}
    path, body = f"{BASE}/quarantine/{identifier}/release", {"recipient": "joe@widget.example"}

    assert [home.client().post(path, json=body, headers=token).status_code for _ in range(3)] == [200, 409, 409]
    assert len(home.desk.sent) == 1


def test_v2_no_more_than_500_mails_are_released_by_one_form(home: House) -> None:
    person = home.person()
    form = re.search(r'name="form" value="([^"]+)"', person.get("/quarantine").text)
    assert form is not None
    sent = {"form": form[1], "act": "release", "pick": [f"X{number} joe@widget.example" for number in range(501)]}

    assert person.post("/quarantine/confirm", data=sent).status_code == 400


def test_v3_no_page_may_be_framed_sniffed_or_run_anything_inline(home: House) -> None:
    headers = home.person().get("/overview").headers
    policy = headers["Content-Security-Policy"]

    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_v4_every_endpoint_asks_for_a_right_and_every_change_is_a_post(home: House) -> None:
    assert [one.path for one in ENDPOINTS if one.right in {Right.ANYBODY, Right.PERSON}] == []
    changes = {"release", "delete", "false-alarm", "prove", "accept", "undo", "redo", "note", "answer"}
    assert {one.path.rpartition("/")[2] for one in ENDPOINTS if one.method == "POST"} == changes


def test_v5_a_held_mail_is_served_as_a_page_of_ours_and_never_as_itself(home: House) -> None:
    identifier = home.hold(1, HOSTILE)
    person = home.person()

    assert person.get(f"/quarantine/{identifier}").headers["content-type"].startswith("text/html")
    assert not [screen.path for screen in SCREENS if screen.path.endswith((".eml", "/raw"))]
    for path in ("/static/../accounts.py", "/static/%2e%2e/accounts.py", "/static/..%2faccounts.py", "/reports/..%2f..%2fx.pdf"):
        assert person.get(path).status_code in {400, 404}, path


def test_v6_guessing_from_one_host_is_stopped_whatever_the_names(home: House) -> None:
    home.console.accounts.add("anna", Role.ADMINISTRATOR, PASSWORD)
    client = home.client()
    for number in range(MOST_PER_CLIENT):
        login(client, f"name{number}", "wrong wrong wrong")

    assert "too many failed logins" in login(client, "anna").text


def test_v6_a_wrong_name_and_a_wrong_password_get_the_same_answer(home: House) -> None:
    home.console.accounts.add("anna", Role.ADMINISTRATOR, PASSWORD)
    marks = re.compile(r'value="[^"]*"')
    answers = {marks.sub("", login(home.client(), name, "wrong wrong wrong").text) for name in ("anna", "nobody")}

    assert len(answers) == 1


def test_v7_a_session_is_new_after_each_login_and_over_after_idleness_and_at_its_end(home: House) -> None:
    home.console.accounts.add("anna", Role.ADMINISTRATOR, PASSWORD)
    client = home.client()
    login(client, "anna")
    first = client.cookies["gatepost"]
    login(client, "anna")
    assert client.cookies["gatepost"] != first
    assert home.console.sessions.find(first) is None
    home.clock.now += home.console.site.console.idle + 1
    assert client.get("/overview").status_code == 303
    login(client, "anna")
    for _ in range(40):
        home.clock.now += home.console.site.console.idle - 60
        client.get("/overview")
    assert client.get("/overview").status_code == 303


def test_v8_nobody_but_the_administrator_manages_and_a_manager_sees_no_mail(home: House) -> None:
    assert [role for role, rights in RIGHTS.items() if Right.MANAGE in rights] == [Role.ADMINISTRATOR]
    identifier = home.hold(1, HOSTILE)
    for role in (Role.MANAGER, Role.HR):
        for path in ("/messages", f"/messages/{identifier}", f"/quarantine/{identifier}", "/people", "/firewall", "/site"):
            assert home.person(role).get(path).status_code == 403, (role, path)


def test_v13_no_secret_of_the_site_is_shown(home: House) -> None:
    home.console.site = home.console.site.model_copy(
        update={"alerts": home.console.site.alerts.model_copy(update={"webhook": "https://chat.example/s3cret"})}
    )
    auditor = home.person(Role.AUDITOR)

    assert "s3cret" not in auditor.get("/site").text
    assert "s3cret" not in auditor.get(f"{BASE}/site").text


def test_v16_every_change_by_anybody_is_in_the_record(home: House) -> None:
    identifier = home.hold(1, HOSTILE)
    token = {"Authorization": f"Bearer {_token(home)}"}
    body = {"recipient": "joe@widget.example"}
    home.client().post(f"{BASE}/quarantine/{identifier}/false-alarm", json=body, headers=token)
    home.client().post(f"{BASE}/signatures/undo", json={"engine": "clamav", "name": "Win.Broad-1"}, headers=token)
    home.client().post(f"{BASE}/interview/answer", json={"question": "company", "answer": "Widget"}, headers=token)
    whats = {what for _at, _who, _client, what, _subject in home.console.accounts.deeds()}

    assert {"false alarm", "signature undo", "answered the interview"} <= whats


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"])
def test_v4_other_methods_do_nothing(home: House, method: str) -> None:
    answer = home.person().request(method, "/quarantine/act")

    assert answer.status_code in {404, 405}
    assert "Access-Control-Allow-Origin" not in answer.headers


def _token(home: House) -> str:
    if home.console.accounts.find("administrator") is None:
        home.person()
    return home.console.sessions.make_link(Link("api", "administrator", ""), 60)
