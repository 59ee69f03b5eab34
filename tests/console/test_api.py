"""The console for programs: the same rights, deeds only with a token or a mark, and no answer that the description does not have."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.console import House

from gatepost.console.api import BASE, ENDPOINTS, description
from gatepost.console.rights import Role
from gatepost.console.sessions import Link

_NUMBERS = itertools.count(1)
RAW = b"Subject: x\r\n\r\nx\r\n"


def bearer(home: House, role: Role = Role.ADMINISTRATOR) -> dict[str, str]:
    home.person(role)
    return {"Authorization": f"Bearer {home.console.sessions.make_link(Link('api', str(role), ''), 60)}"}


def test_a_program_searches_looks_asks_and_releases(home: House) -> None:
    identifier = home.hold(1, RAW)
    client, token = home.client(), bearer(home)
    rows = client.get(f"{BASE}/messages?sender=@partner.example", headers=token).json()["rows"]
    mail = client.get(f"{BASE}/quarantine/{identifier}", headers=token).json()["mail"]
    plan = client.get(f"{BASE}/quarantine/{identifier}/plan?recipient=joe@widget.example", headers=token).json()
    done = client.post(f"{BASE}/quarantine/{identifier}/release", json={"recipient": "joe@widget.example"}, headers=token)

    assert [row["id"] for row in rows] == [identifier]
    assert mail["parts"][0]["text"] == "x\n"
    assert plan["forecast"]["next_hop"] == "mail.widget.example:25"
    assert (done.status_code, len(home.desk.sent)) == (200, 1)
    assert "released" in str(client.get(f"{BASE}/messages/{identifier}", headers=token).json()["story"])


def test_a_deed_with_a_session_needs_its_mark(home: House) -> None:
    identifier, person = home.hold(1, RAW), home.person()
    path = f"{BASE}/quarantine/{identifier}/delete"

    assert person.post(path, json={"recipient": "joe@widget.example"}).status_code == 403
    session = home.console.sessions.find(person.cookies["gatepost"])
    assert session is not None
    assert person.post(path, json={"recipient": "joe@widget.example"}, headers={"X-Gatepost-Form": session.form}).status_code == 200


def test_a_token_is_over_after_its_time_and_is_good_for_the_api_only(home: House) -> None:
    client, token = home.client(), bearer(home)

    assert client.get("/overview", headers=token).status_code == 303
    home.clock.now += 61
    assert client.get(f"{BASE}/status", headers=token).status_code == 401


def test_every_endpoint_is_described_and_every_described_one_is_there(home: House) -> None:
    told = home.client().get(f"{BASE}/openapi.json", headers=bearer(home)).json()

    assert told == description()
    assert {(path, method) for path, one in told["paths"].items() for method in one} == {
        (BASE + one.path, one.method.lower()) for one in ENDPOINTS
    }


WORDS = [
    "1",
    "",
    "joe@widget.example",
    "2026-11",
    "2026-11-01",
    "-1",
    "\x00",
    "%",
    '"',
    "delivered",
    "relay",
    "tcp/445",
    "accept",
    "owner",
    "1,2",
    "²",
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_question_makes_it_fail(perimeter: House, data) -> None:
    """Every answer has a status that the description names."""
    home = perimeter
    token = {"Authorization": f"Bearer {_token(home)}"}
    one = data.draw(st.sampled_from(ENDPOINTS))
    identifier = data.draw(
        st.sampled_from([_held(home), "X"])
        | st.text(st.characters(blacklist_characters="/?#%\\", categories=["L", "N", "P"]), min_size=1, max_size=9)
    )
    names = data.draw(st.lists(st.sampled_from(sorted(one.asked or {"x": ""})), max_size=3))
    asked = {name: data.draw(st.sampled_from(WORDS) | st.text(max_size=8)) for name in names}
    body = data.draw(
        st.fixed_dictionaries({name: st.sampled_from(WORDS) | st.text(max_size=9) for name in one.sent or {}})
        | st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers(), max_size=3)
    )
    path = (BASE + one.path).replace("{id}", identifier)
    answer = home.client().request(one.method, path, params=asked, headers=token, json=body if one.method == "POST" else None)

    assert str(answer.status_code) in description()["paths"][BASE + one.path][one.method.lower()]["responses"], answer.text


def _token(home: House) -> str:
    if home.console.accounts.find("administrator") is None:
        home.person()
    return home.console.sessions.make_link(Link("api", "administrator", ""), 60)


def _held(home: House) -> str:
    rows = home.quarantine.rows()
    return rows[0].id if rows else home.hold(next(_NUMBERS), RAW)


@pytest.mark.parametrize("role", list(Role))
def test_programs_have_the_rights_of_their_user(home: House, role: Role) -> None:
    from gatepost.console.rights import may

    client, token = home.client(), bearer(home, role)
    for one in ENDPOINTS:
        if one.method == "GET":
            status = client.get((BASE + one.path).replace("{id}", "X"), headers=token).status_code
            assert (status != 403) == may(role, one.right), one.path
