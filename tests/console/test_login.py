"""Logging in: guessing is slow, sessions end, codes count once, nothing that is kept can be used."""

from __future__ import annotations

import pyotp
import pytest
from tests.support.console import PASSWORD, House, login

from gatepost.console.accounts import MOST_PER_PAIR, WINDOW, AccountError
from gatepost.console.rights import Role


@pytest.fixture
def anna(home: House) -> House:
    home.console.accounts.add("anna", Role.ADMINISTRATOR, PASSWORD)
    return home


def test_only_the_right_password_lets_in(anna: House) -> None:
    client = anna.client()

    assert login(client, "anna", "a wrong sentence here").status_code == 401
    assert login(client, "nobody").status_code == 401
    assert client.get("/overview").status_code == 303
    assert login(client, "anna").status_code == 303
    assert client.get("/overview").status_code == 200


def test_the_answer_is_the_same_whatever_was_wrong(anna: House) -> None:
    def told(name: str, password: str) -> str:
        with pytest.raises(AccountError) as raised:
            anna.console.accounts.login(name, password, "", "192.0.2.1")
        return str(raised.value)

    assert told("anna", "wrong") == told("nobody", PASSWORD)


def test_after_five_failures_even_the_right_password_must_wait(anna: House) -> None:
    client = anna.client()
    for _ in range(MOST_PER_PAIR):
        login(client, "anna", "a wrong sentence here")

    assert login(client, "anna").status_code == 401
    anna.clock.now += WINDOW + 1
    assert login(client, "anna").status_code == 303


def test_each_login_begins_a_new_session_and_ends_the_one_before(anna: House) -> None:
    client = anna.client()
    login(client, "anna")
    first = client.cookies["gatepost"]
    login(client, "anna")

    assert client.cookies["gatepost"] != first
    assert anna.console.sessions.find(first) is None


def test_a_session_ends_when_idle_and_in_any_case(anna: House) -> None:
    client = anna.client()
    login(client, "anna")
    anna.clock.now += 1799
    assert client.get("/overview").status_code == 200
    anna.clock.now += 1801
    assert client.get("/overview").status_code == 303

    login(client, "anna")
    for _ in range(30):
        anna.clock.now += 1500
        status = client.get("/overview").status_code
    assert status == 303


def test_logging_out_ends_the_session_for_good(anna: House) -> None:
    client = anna.client()
    login(client, "anna")
    token = client.cookies["gatepost"]
    session = anna.console.sessions.find(token)
    assert session is not None
    client.post("/logout", data={"form": session.form})

    assert anna.console.sessions.find(token) is None


def test_a_new_password_ends_all_sessions(anna: House) -> None:
    client = anna.client()
    login(client, "anna")
    anna.console.accounts.set_password("anna", "another long sentence")

    assert client.get("/overview").status_code == 303


def test_a_one_time_code_is_needed_and_counts_once(anna: House, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = pyotp.random_base32()
    monkeypatch.setattr(pyotp.TOTP, "verify", lambda *_arguments, **_options: True)
    anna.console.accounts.set_totp("anna", secret, "000000")
    code = pyotp.TOTP(secret).at(int(anna.clock.now))

    assert login(anna.client(), "anna").status_code == 401
    assert login(anna.client(), "anna", code=code).status_code == 303
    assert login(anna.client(), "anna", code=code).status_code == 401


def test_a_wrong_first_code_sets_nothing_up(anna: House) -> None:
    with pytest.raises(AccountError, match="clocks"):
        anna.console.accounts.set_totp("anna", pyotp.random_base32(), "abc")

    assert login(anna.client(), "anna").status_code == 303


def test_the_login_form_counts_only_with_its_own_cookie(anna: House) -> None:
    answer = anna.client().post("/login", data={"mark": "", "name": "anna", "password": PASSWORD})

    assert answer.status_code == 403


@pytest.mark.parametrize("then", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb"])
def test_after_the_login_nobody_is_led_elsewhere(anna: House, then: str) -> None:
    assert login(anna.client(), "anna", then=then).headers["location"] == "/"


def test_after_the_login_people_come_where_they_wanted_to(anna: House) -> None:
    assert login(anna.client(), "anna", then="/messages/X").headers["location"] == "/messages/X"


def test_what_is_kept_on_the_disk_logs_nobody_in(anna: House, tmp_path) -> None:
    client = anna.client()
    login(client, "anna")
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("console.sqlite*"))

    assert PASSWORD.encode() not in kept
    assert client.cookies["gatepost"].encode() not in kept
    assert b"$argon2id$" in kept


@pytest.mark.parametrize("bad", ["short", "x" * 201])
def test_a_bad_password_is_refused_when_the_account_is_made(home: House, bad: str) -> None:
    with pytest.raises(AccountError, match="12 to 200"):
        home.console.accounts.add("bob", Role.AUDITOR, bad)
