"""What the next hop's answers mean for ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.act.deliver import REMEMBERED, Taken, merged, succeeded
from gatepost.mail.model import Reply

OK = Reply(250, "2.0.0", "taken")
LATER = Reply(452, "4.2.2", "full")
NO = Reply(550, "5.1.1", "unknown")
REPLIES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([OK, LATER, NO]), min_size=1)


@given(REPLIES)
def test_the_one_answer_is_success_only_when_all_are_and_asks_for_a_retry_when_one_helps(replies: dict[str, Reply]) -> None:
    answer = merged(replies)

    assert succeeded(answer) is (set(replies.values()) == {OK})
    if LATER in replies.values():
        assert 400 <= answer.code < 500


def test_a_final_failure_names_who_has_the_mail() -> None:
    assert merged({"a@x": OK, "b@y": NO}) == Reply(550, "5.1.1", "b@y: unknown (delivered to a@x)")


def test_those_who_have_a_mail_are_known_at_its_retry_and_forgotten_when_all_have_it() -> None:
    taken = Taken()
    assert taken.recall("s", "a", b"mail") is None
    taken.learn("s", {"a": OK, "b": LATER}, b"mail")

    assert taken.recall("s", "a", b"mail") == OK
    assert taken.recall("s", "b", b"mail") is None
    assert taken.recall("s", "a", b"other mail") is None
    assert taken.recall("other", "a", b"mail") is None
    taken.learn("s", {"a": OK, "b": OK}, b"mail")
    assert taken.recall("s", "a", b"mail") is None


def test_the_memory_is_bounded() -> None:
    taken = Taken()
    taken.learn("s", {"first": OK, "x": LATER}, b"mail")
    taken.learn("s", {str(number): OK for number in range(REMEMBERED)} | {"x": LATER}, b"mail")

    assert taken.recall("s", "first", b"mail") is None
    assert taken.recall("s", "9", b"mail") == OK
