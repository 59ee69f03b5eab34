"""A receipt that holds was written by this site, and forged ones are taken out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.act.receipt import ReceiptError, receipt, signing_key, spam_header, strip_forged, subject_tag, verify_receipt
from gatepost.mail.model import Decision, Direction, Disposition, EngineReport, EngineState, Finding, HeaderEdit, Kind, Verdict

KEY = signing_key(bytes(range(32)))
VERDICT = Verdict(
    (),
    (EngineReport("clamav", "1.4.6", EngineState.CLEAN, 0.1, "27000"), EngineReport("yara", "1; x=\r\n", EngineState.CLEAN)),
    digest="ab" * 32,
)
DECISION = Decision("a@b", Direction.INBOUND, Disposition.DELIVER, "clean")


def value(verdict: Verdict = VERDICT) -> str:
    edit = receipt("0ABC", 1_700_000_000.9, verdict, [DECISION], KEY)
    assert edit.name == "X-Gatepost-Scan"
    assert edit.value
    return edit.value


def test_a_receipt_says_engines_versions_signatures_digest_and_rule() -> None:
    assert verify_receipt(value(), KEY.public_key()) == {
        "id": "0ABC",
        "at": "1700000000",
        "rules": "clean",
        "sha256": "ab" * 32,
        "engines": "clamav/1.4.6@27000:clean,yara/1_x_:clean",
    }


def test_folding_on_the_way_does_no_harm() -> None:
    folded = value().replace("; ", ";\r\n\t").replace("signature=", "signature=")
    assert verify_receipt(folded, KEY.public_key())["id"] == "0ABC"


@given(st.data())
def test_any_change_of_a_receipt_is_found(data) -> None:
    text = value()
    place = data.draw(st.integers(0, len(text) - 4))
    with pytest.raises(ReceiptError):
        verify_receipt(text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :], KEY.public_key())


@pytest.mark.parametrize("text", ["", "; signature=", "clean", "id=1; signature=AAAA", "id=1; signature=\u00e4"])
def test_what_is_no_receipt_is_refused(text) -> None:
    with pytest.raises(ReceiptError):
        verify_receipt(text, KEY.public_key())


def test_a_receipt_of_another_site_is_refused() -> None:
    with pytest.raises(ReceiptError):
        verify_receipt(value(), signing_key(bytes(32)).public_key())


@given(
    st.lists(st.builds(EngineReport, st.text(), st.text(), st.sampled_from(EngineState), st.just(0.0), st.text()), max_size=30).map(tuple)
)
def test_a_receipt_is_one_line_that_fits_whatever_engines_say(engines) -> None:
    text = value(Verdict((), engines, digest="ab" * 32))
    assert len(text) < 998 - len("X-Gatepost-Scan: ")
    assert text.isascii()
    assert text.isprintable()
    assert verify_receipt(text, KEY.public_key())["id"] == "0ABC"


def test_forged_fields_are_deleted_from_the_last_to_the_first() -> None:
    names = ["Received", "X-Gatepost-Scan", "Subject", "x-gatepost-scan ", "X-GATEPOST-Release", "X-Other"]
    assert strip_forged(names) == (
        HeaderEdit("X-GATEPOST-Release", None, 1),
        HeaderEdit("x-gatepost-scan", None, 2),
        HeaderEdit("X-Gatepost-Scan", None, 1),
    )
    assert strip_forged(["X-Gate", "Subject"]) == ()


def test_spam_points_and_tags_are_shown() -> None:
    found = (Finding(Kind.SPAM, "a", score=5.25), Finding(Kind.SPAM, "b", score=7.0))
    tagged = Decision("a@b", Direction.INBOUND, Disposition.DELIVER, "r", found, "[SPAM] ")
    assert spam_header([tagged]) == (HeaderEdit("X-Gatepost-Spam", "score=7.0"),)
    assert spam_header([DECISION]) == ()
    assert subject_tag([DECISION, tagged], " =?utf-8?q?x?=") == (HeaderEdit("Subject"), HeaderEdit("Subject", "[SPAM] =?utf-8?q?x?="))
    assert subject_tag([tagged], None) == (HeaderEdit("Subject", "[SPAM] "),)
    assert subject_tag([tagged], "[SPAM] again") == ()
    assert subject_tag([DECISION], "x") == ()
