"""Several recipients, one answer: nobody gets a mail twice, nothing refused is bounced, nothing accepted is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.decide.reply import DELIVERED, WITH_OTHERS, combine, reply_for, settle
from gatepost.mail.model import Decision, Direction, Disposition, Finding, HeaderEdit, Kind

D = Disposition
decisions = st.lists(
    st.builds(
        Decision,
        recipient=st.from_regex(r"[a-z]{1,8}@widget\.example", fullmatch=True),
        direction=st.sampled_from(Direction),
        disposition=st.sampled_from(Disposition),
        rule=st.just("r"),
        findings=st.lists(st.builds(Finding, st.sampled_from(Kind), st.just("<script>")), max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=5,
)


def made(*dispositions: Disposition) -> list[Decision]:
    return [Decision(f"r{number}@widget.example", Direction.INBOUND, one, "r") for number, one in enumerate(dispositions)]


@pytest.mark.parametrize(
    ("wanted", "settled", "code"),
    [
        ((D.DELIVER,), (D.DELIVER,), 250),
        ((D.REJECT,), (D.REJECT,), 550),
        ((D.QUARANTINE,), (D.QUARANTINE,), 250),
        ((D.TEMPFAIL,), (D.TEMPFAIL,), 451),
        ((D.REJECT, D.REJECT), (D.REJECT, D.REJECT), 550),
        ((D.DELIVER, D.REJECT), (D.DELIVER, D.QUARANTINE), 250),
        ((D.QUARANTINE, D.REJECT), (D.QUARANTINE, D.QUARANTINE), 250),
        ((D.DELIVER, D.TEMPFAIL), (D.TEMPFAIL, D.TEMPFAIL), 451),
        ((D.REJECT, D.TEMPFAIL), (D.TEMPFAIL, D.TEMPFAIL), 451),
        ((D.DELIVER_CLEANED,), (D.QUARANTINE,), 250),
    ],
)
def test_several_recipients_get_one_answer(wanted, settled, code) -> None:
    result = settle(made(*wanted))
    assert tuple(decision.disposition for decision in result) == settled
    assert combine(result, "ID").reply.code == code


def test_a_cleaned_mail_goes_only_where_nobody_gets_the_original() -> None:
    alone = settle(made(D.DELIVER_CLEANED, D.QUARANTINE), cleaned=True)
    assert combine(alone, "ID", cleaned=b"cleaned").body == b"cleaned"
    mixed = settle(made(D.DELIVER_CLEANED, D.DELIVER), cleaned=True)
    assert [decision.disposition for decision in mixed] == [D.QUARANTINE, D.DELIVER]
    assert combine(mixed, "ID", cleaned=b"cleaned").body is None


def test_who_must_wait_for_others_is_named_as_such() -> None:
    first, second = settle(made(D.DELIVER, D.TEMPFAIL))
    assert (first.rule, second.rule) == (WITH_OTHERS, "r")


@given(decisions, st.booleans())
def test_settled_decisions_can_be_carried_out_by_one_answer(given_, cleaned) -> None:
    settled = settle(given_, cleaned=cleaned)
    ends = {decision.disposition for decision in settled}
    assert D.TEMPFAIL not in ends or ends == {D.TEMPFAIL}
    assert D.REJECT not in ends or ends == {D.REJECT}
    assert not ({D.DELIVER, D.DELIVER_CLEANED} <= ends)
    assert [decision.recipient for decision in settled] == [decision.recipient for decision in given_]
    assert settle(settled, cleaned=cleaned) == settled


@given(decisions, st.booleans())
def test_nobody_gets_a_mail_that_their_policy_stops(given_, cleaned) -> None:
    answer = combine(settle(given_, cleaned=cleaned), "ID", (HeaderEdit("X", "y"),), b"cleaned" if cleaned else None)
    allowed = {decision.recipient for decision in given_ if decision.disposition in DELIVERED}
    assert set(answer.recipients) <= allowed
    assert answer.reply.code == 250 or not answer.recipients
    assert bool(answer.headers) <= bool(answer.recipients)


@given(decisions)
def test_a_reply_is_one_line_of_ours_with_the_id(given_) -> None:
    """Nothing that the mail or its envelope says is repeated."""
    reply = reply_for(settle(given_), "0ABC")
    line = f"{reply.code} {reply.status} {reply.text}"
    assert "(0ABC)" in line
    assert "<script>" not in line
    assert "@" not in line
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 400
    assert reply.status[0] == str(reply.code)[0]


def test_a_mail_for_nobody_is_never_promised() -> None:
    assert reply_for((), "ID").code == 451


def test_a_refusal_says_why_in_plain_words() -> None:
    (decision,) = settle([Decision("a@b", Direction.INBOUND, D.REJECT, "r", (Finding(Kind.VIRUS, "Eicar"),))])
    assert reply_for([decision], "0ABC").text == "refused: it carries a virus; nobody got it (0ABC)"
