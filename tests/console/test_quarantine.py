"""The quarantine: what is said before a release is what happens, to one recipient, byte for byte, and to nobody else."""

from __future__ import annotations

import re

from tests.support.console import HOSTILE, House, field_of
from tests.support.journal import finding

from gatepost.console.rights import Role
from gatepost.console.sessions import Link

RAW = b"From: ann@partner.example\r\nSubject: Offer\r\n\r\n.a line with a dot\r\nbytes \xff\xfe\r\n"
BOTH = ("joe@widget.example", "sue@widget.example")


def act(client, what: str, *picks: str):
    form = field_of(client.get("/quarantine").text, "form")
    told = client.post("/quarantine/confirm", data={"form": form, "act": what, "pick": list(picks)})
    done = client.post("/quarantine/act", data={"form": form, "act": what, "pick": list(picks)})
    return told, done


def test_a_release_is_byte_exact_and_goes_to_one_recipient_as_was_said(home: House) -> None:
    identifier = home.hold(1, RAW, BOTH)
    told, done = act(home.person(), "release", f"{identifier} sue@widget.example")

    ((envelope, data),) = home.desk.sent
    assert done.status_code == 200
    assert (envelope.recipients, data) == (("sue@widget.example",), RAW)
    for forecast in ("sue@widget.example", "mail.widget.example:25", f"{len(RAW)}", "Offer number 1"):
        assert forecast in told.text
    assert "Stays held for joe@widget.example" in told.text


def test_asking_alone_releases_nothing(home: House) -> None:
    identifier = home.hold(1, RAW)
    person = home.person()
    form = field_of(person.get("/quarantine").text, "form")
    person.post("/quarantine/confirm", data={"form": form, "act": "release", "pick": f"{identifier} joe@widget.example"})

    assert home.desk.sent == []


def test_several_mails_are_released_at_once(home: House) -> None:
    picks = [f"{home.hold(number, RAW + bytes([65 + number]))} joe@widget.example" for number in range(3)]
    act(home.person(Role.QUARANTINE_MANAGER), "release", *picks)

    assert sorted(data[-1:] for _envelope, data in home.desk.sent) == [b"A", b"B", b"C"]


def test_a_second_release_is_refused(home: House) -> None:
    identifier = home.hold(1, RAW)
    person = home.person()
    act(person, "release", f"{identifier} joe@widget.example")
    told, done = act(person, "release", f"{identifier} joe@widget.example")

    assert (told.status_code, done.status_code, len(home.desk.sent)) == (409, 409, 1)


def test_a_release_that_fails_says_why_and_the_mail_stays(home: House) -> None:
    identifier = home.hold(1, RAW)
    home.desk.broken = True
    _told, done = act(home.person(), "release", f"{identifier} joe@widget.example")

    assert done.status_code == 502
    assert "the next hop does not answer" in done.text
    assert home.person().get(f"/quarantine/{identifier}").status_code == 200


def test_deleting_for_the_last_recipient_removes_the_bytes(home: House) -> None:
    identifier = home.hold(1, RAW)
    person = home.person()
    act(person, "delete", f"{identifier} joe@widget.example")

    assert person.get(f"/quarantine/{identifier}").status_code == 404
    assert list(home.console.contents.entries()) == []


def test_a_user_sees_and_does_only_what_concerns_the_own_address(home: House) -> None:
    mine, theirs = home.hold(1, RAW, BOTH), home.hold(2, RAW + b"x", ("sue@widget.example",))
    joe = home.person(Role.USER)
    page = joe.get("/quarantine").text

    assert mine in page
    assert theirs not in page
    assert "sue@widget.example" not in page
    assert joe.get(f"/quarantine/{theirs}").status_code == 404
    assert joe.get("/quarantine?recipient=sue@widget.example").text.count("sue@widget.example") == 0
    for identifier in (mine, theirs):
        _told, done = act(joe, "release", f"{identifier} sue@widget.example")
        assert done.status_code == 404
    assert home.desk.sent == []


def test_an_auditor_sees_the_list_but_no_content_and_no_button(home: House) -> None:
    identifier = home.hold(1, RAW)
    auditor = home.person(Role.AUDITOR)
    page = auditor.get("/quarantine").text

    assert identifier in page
    assert "Release" not in page
    assert auditor.get(f"/quarantine/{identifier}").status_code == 403


def test_who_releases_a_virus_is_warned(home: House) -> None:
    identifier = home.hold(1, RAW, findings=[finding()])
    told, _done = act(home.person(), "release", f"{identifier} joe@widget.example")

    assert "A virus was found" in told.text


def test_a_hundred_prefetches_of_a_link_release_nothing_and_the_button_releases_once(home: House) -> None:
    identifier = home.hold(1, RAW)
    path = "/link/" + home.console.sessions.make_link(Link("release", identifier, "joe@widget.example"), 3600)
    client = home.client()
    for _ in range(100):
        assert client.get(path).status_code == 200
        client.head(path)
    assert home.desk.sent == []

    assert client.post(path, data={"x": "y"}).status_code == 200
    assert client.post(path, data={"x": "y"}).status_code == 410
    assert [envelope.recipients for envelope, _data in home.desk.sent] == [("joe@widget.example",)]


def test_a_link_is_over_after_its_time(home: House) -> None:
    path = "/link/" + home.console.sessions.make_link(Link("release", home.hold(1, RAW), "joe@widget.example"), 3600)
    home.clock.now += 3601

    assert home.client().get(path).status_code == 410


def test_every_look_into_a_mail_and_every_deed_is_written_down(home: House) -> None:
    identifier = home.hold(1, RAW)
    person = home.person()
    person.get(f"/quarantine/{identifier}")
    act(person, "release", f"{identifier} joe@widget.example")

    whats = [what for _at, _who, _client, what, subject in home.console.accounts.deeds() if identifier in subject]
    assert whats == ["released", "looked into"]


def test_the_preview_of_a_hostile_mail_is_text(home: House) -> None:
    page = home.person().get(f"/quarantine/{home.hold(1, HOSTILE)}").text

    assert "<script>document" not in page
    assert "tracker.example" not in page
    assert "U+202E" in page
    assert re.search(r"bank\.example ⟨javascript:document", page)
