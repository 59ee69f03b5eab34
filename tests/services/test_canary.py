"""The live canary: only ours is swallowed, once; and only the right answers count as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.model import Decision, Direction, Disposition, EngineReport, EngineState, Finding, Kind, Verdict
from gatepost.services import canary
from gatepost.services.canary import Canaries

SECRET = b"s" * 32
NOW = 1_790_000_000.0
ADDRESS = "postmaster@widget.example"


def made(*, infected: bool = True) -> canary.Sent:
    return canary.make(SECRET, ADDRESS, NOW, infected=infected)


def judged(disposition: Disposition, *engines: str) -> tuple[Verdict, tuple[Decision, ...]]:
    reports = tuple(EngineReport(name, "1", EngineState.FOUND) for name in engines)
    finding = Finding(Kind.VIRUS, "Eicar")
    return Verdict((finding,), reports), (Decision(ADDRESS, Direction.INTERNAL, disposition, "rule", (finding,)),)


def test_a_canary_is_known_by_its_nonce_and_only_once() -> None:
    sent, canaries = made(), Canaries(SECRET)

    assert canaries.nonce(sent.content, NOW + 1) == sent.nonce
    assert canaries.nonce(sent.content, NOW + 2) == ""


def test_a_canary_that_came_through_an_mta_is_still_known() -> None:
    sent = made()
    assert Canaries(SECRET).nonce(b"Received: from a by b\r\n" + sent.content, NOW) == sent.nonce


@pytest.mark.parametrize("late", [canary.LIFE + 1, -canary.LIFE - 1])
def test_a_token_holds_for_minutes(late: float) -> None:
    assert Canaries(SECRET).nonce(made().content, NOW + late) == ""


def test_a_token_of_another_secret_or_another_nonce_is_none() -> None:
    sent = made()
    assert Canaries(b"t" * 32).nonce(sent.content, NOW) == ""
    assert Canaries(SECRET).nonce(sent.content.replace(sent.nonce.encode(), b"0" * 16), NOW) == ""
    assert Canaries(SECRET).nonce(sent.content.replace(b"X-Gatepost-Canary", b"X-Other", 1), NOW) == ""


@given(st.binary(max_size=200))
def test_any_value_of_the_field_is_borne(value: bytes) -> None:
    assert Canaries(SECRET).nonce(b"X-Gatepost-Canary: " + value + b"\r\n\r\nbody", NOW) == ""


def test_nobody_gets_a_canary_whatever_the_verdict() -> None:
    for disposition in Disposition:
        assert canary.answer("0" * 16, *judged(disposition)).recipients == ()


@pytest.mark.parametrize("disposition", [Disposition.REJECT, Disposition.QUARANTINE, Disposition.DELIVER_CLEANED])
def test_a_stopped_virus_found_by_all_engines_is_well(disposition: Disposition) -> None:
    sent = made()
    reply = canary.answer(sent.nonce, *judged(disposition, "yara", "clamav")).reply

    assert canary.wrong(sent, reply.code, reply.text, ["clamav", "yara"], direct=True) == ""


def test_an_engine_that_did_not_find_the_test_file_is_named() -> None:
    sent = made()
    reply = canary.answer(sent.nonce, *judged(Disposition.REJECT, "yara")).reply

    assert canary.wrong(sent, reply.code, reply.text, ["clamav", "yara"], direct=True) == "the test virus was not found by clamav"


def test_every_other_answer_is_wrong() -> None:
    virus, clean = made(), made(infected=False)

    assert "was not stopped" in canary.wrong(virus, 250, "queued", [], direct=True)
    assert "was not stopped" in canary.wrong(virus, 250, f"canary {virus.nonce} is clean", [], direct=True)
    assert "not by the scan" in canary.wrong(virus, 550, "no such user", [], direct=True)
    assert "not by the scan" in canary.wrong(virus, 451, "later", [], direct=False)
    assert "is not taken" in canary.wrong(clean, 550, f"canary {clean.nonce} refused", [], direct=True)
    assert "is not taken" in canary.wrong(clean, 250, "queued", [], direct=True)
    assert canary.wrong(clean, 250, "queued as 1", [], direct=False) == ""
    assert canary.wrong(clean, 250, f"canary {clean.nonce} is clean", [], direct=True) == ""
