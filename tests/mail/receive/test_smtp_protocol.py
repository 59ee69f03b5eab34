"""The server's side of SMTP, byte by byte and without a network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.smtp_wire import World

from gatepost.mail.receive.smtp_protocol import Features
from gatepost.mail.receive.smtp_table import LAST_IN_GROUP, LAWFUL, State, refusal

HELLO = b"EHLO client.example\r\n"
ENVELOPE = b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n"
MAIL = ENVELOPE + b"DATA\r\n"
WAYS = {
    State.GREETED: [],
    State.READY: [HELLO],
    State.SENDER: [HELLO, b"MAIL FROM:<a@b.c>\r\n"],
    State.RECIPIENTS: [HELLO, ENVELOPE],
    State.CHUNKED: [HELLO, ENVELOPE, b"BDAT 2\r\n\r\n"],
}
GOOD = {
    "EHLO": b"EHLO x", "HELO": b"HELO x", "LHLO": b"LHLO x", "MAIL": b"MAIL FROM:<a@b.c>", "RCPT": b"RCPT TO:<d@e.f>", "VRFY": b"VRFY a",
    "BDAT": b"BDAT 0", "XCLIENT": b"XCLIENT NAME=x", "XFORWARD": b"XFORWARD NAME=x",
}  # fmt: skip
INNER = b"MAIL FROM:<boss@b.c>\r\nRCPT TO:<lee@b.c>\r\nDATA\r\nSubject: smuggled\r\n\r\nI was never sent.\r\n.\r\n"
ENDINGS = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n",
    b"\n\r.\n\r", b"\r\n.\x0b\r\n", b"\xc2\x85.\xc2\x85", b"\r\n\x00.\x00\r\n", b"\n\n.\n\n", b"\r\n.\n\r\n", b"\r\n.\r\x00\n",
]  # fmt: skip


def at(state: State, world: World | None = None) -> World:
    world = (world or World()).greet()
    for line in WAYS[state]:
        world.send(line)
    assert world.protocol.state is state
    return world


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("verb", LAWFUL)
def test_the_protocol_is_the_table(verb: str, state: State) -> None:
    """In every state every command is refused with 5xx exactly when the table says so, and a refusal changes nothing."""
    world = (
        at(state, World(Features("gw", starttls=True, lmtp=verb == "LHLO"), trusted=True))
        if verb != "LHLO"
        else at(state, World(trusted=True))
    )
    codes = world.send(GOOD.get(verb, verb.encode()) + b"\r\n")
    lawful = state in LAWFUL[verb]

    assert (refusal(verb, state) is None) is lawful
    if not lawful:
        assert codes == [503]
        assert world.protocol.state is state
    elif verb not in {"EXPN", "LHLO"}:
        assert codes
        assert codes[0] < 500


def test_a_mail_goes_through_however_it_is_cut() -> None:
    """The same dialogue at once, by bytes and by odd pieces gives the same mail and the same answers."""
    script = [HELLO, MAIL, b"Subject: x\r\n\r\n..dot\r\n.\r\n", MAIL, b".\r\n", b"QUIT\r\n"]
    results = []
    for step in (0, 1, 2, 3, 7):
        world = World().greet()
        codes = [code for line in script for code in world.send(line, step)]
        results.append((codes, world.mails))

    assert results[0][0] == [250, 250, 250, 354, 250, 250, 250, 354, 250, 221]
    assert [content for _, content in results[0][1]] == [b"Subject: x\r\n\r\n.dot\r\n", b""]
    assert all(result == results[0] for result in results)


def test_commands_may_be_pipelined_up_to_data_and_behind_the_dot() -> None:
    """RFC 2920."""
    world = at(State.READY)

    assert world.send(MAIL) == [250, 250, 354]
    assert world.send(b"x\r\n.\r\n" + MAIL) == [250, 250, 250, 354]
    assert world.send(b"y\r\n.\r\nQUIT\r\n") == [250, 221]


@pytest.mark.parametrize("verb", sorted(LAST_IN_GROUP - {"LHLO"}))
def test_whoever_does_not_wait_where_he_must_is_cut_off(verb: str) -> None:
    """What stands behind DATA or STARTTLS before its answer may be somebody else's."""
    state = State.RECIPIENTS if verb == "DATA" else State.READY
    world = at(state, World(Features("gw", starttls=True), trusted=True))

    assert world.send(GOOD.get(verb, verb.encode()) + b"\r\nNOOP\r\n") == [521]
    assert world.protocol.closed


def test_what_was_said_in_clear_does_not_count_inside_tls() -> None:
    """RFC 3207 4.2: name, transaction and buffered commands are forgotten; EHLO offers no second STARTTLS."""
    world = at(State.READY, World(Features("gw", starttls=True)))
    world.protocol.receive(b"STARTTLS\r\n")
    assert world.protocol.next_event() is not None
    world.protocol.receive(b"MAIL FROM:<evil@b.c>\r\n")
    world.protocol.tls_begins()
    world.protocol.tls_started()

    assert world.protocol.next_event() is None
    world.output += world.protocol.take_output()
    assert world.send(b"MAIL FROM:<a@b.c>\r\n") == [503]
    before = len(world.output)
    world.send(HELLO)
    assert b"STARTTLS" not in world.output[before:]
    assert world.protocol.protocol == "ESMTPS"


def test_a_client_that_talks_first_is_refused() -> None:
    world = World()
    world.protocol.receive(HELLO)
    world.greet()

    assert world.output.startswith(b"554 ")
    assert world.protocol.closed


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("ending", ENDINGS, ids=repr)
def test_no_false_end_of_data_makes_a_second_mail(ending: bytes, step: int) -> None:
    """SMTP smuggling: an error, or one mail that holds the inner commands as text."""
    world = at(State.READY)
    world.send(MAIL)
    codes = world.send(b"Subject: x\r\n\r\nlast line" + ending + INNER, step)

    if world.mails:
        assert codes == [250]
        assert len(world.mails) == 1
        assert b"MAIL FROM:<boss@b.c>" in world.mails[0][1]
    else:
        assert codes == [521]
        assert world.protocol.closed


def test_the_smuggling_cases_of_the_suite(shared: Path, tmp_path: Path) -> None:
    """All wire cases of ../shared/evasion: an error, or exactly one message."""
    subprocess.run(
        [sys.executable, "-m", "evasion.generate", tmp_path, "--family", "smuggling"],
        cwd=shared,
        check=True,
        capture_output=True,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    cases = json.loads((tmp_path / "manifest.json").read_text())
    assert len(cases) == 16
    for case in cases:
        world = at(State.READY)
        world.send(MAIL)
        world.send((tmp_path / case["file"]).read_bytes())
        assert len(world.mails) <= 1, case["case"]
        assert world.mails or world.protocol.closed, case["case"]
        assert all(envelope.sender == "a@b.c" for envelope, _ in world.mails), case["case"]


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\0\r\n", b"MAIL FROM:<a@b.c>\nRCPT TO:<d@e.f>\r\n"])
def test_a_bare_line_end_or_nul_in_a_command_ends_the_dialogue(line: bytes) -> None:
    world = at(State.READY)

    assert world.send(line) == [521]
    assert world.protocol.closed


def test_a_command_without_end_is_cut_off() -> None:
    world = at(State.READY)

    assert world.send(b"NOOP " + b"x" * 5000) == [500]
    assert world.protocol.closed


def test_bdat_brings_the_octets_as_they_are() -> None:
    """RFC 3030: chunks of any cut, dots are no matter, LAST ends the mail; several mails in one connection."""
    for step in (0, 1, 3):
        world = at(State.READY)
        for _ in range(2):
            codes = world.send(ENVELOPE + b"BDAT 4\r\na\r\n.BDAT 5\r\n\r\n.\r\nBDAT 0 LAST\r\n", step)
            assert codes == [250, 250, 250, 250, 250]
        assert [content for _, content in world.mails] == [b"a\r\n.\r\n.\r\n"] * 2


def test_a_refused_chunk_is_read_past_and_never_taken_for_commands() -> None:
    """The octets of BDAT are sent without waiting: commands hidden in a refused chunk must not be obeyed."""
    world = at(State.SENDER)
    inner = b"RCPT TO:<evil@b.c>\r\n"

    assert world.send(b"BDAT %d LAST\r\n%bNOOP\r\n" % (len(inner), inner)) == [503, 250]
    assert world.protocol.state is State.SENDER


@pytest.mark.parametrize("line", [b"BDAT\r\n", b"BDAT x\r\n", b"BDAT -1\r\n", b"BDAT 1 FIRST\r\n", b"BDAT 99999999999999999999\r\n"])
def test_bdat_without_a_readable_size_closes(line: bytes) -> None:
    world = at(State.RECIPIENTS)

    assert world.send(line + b"hello") == [521]
    assert world.protocol.closed


def test_bare_line_ends_in_bdat_are_refused_too_even_across_chunks() -> None:
    world = at(State.RECIPIENTS)

    assert world.send(b"BDAT 2\r\na\rBDAT 1 LAST\r\nb") == [250, 521]
    assert world.mails == []


def test_lmtp_answers_for_each_recipient() -> None:
    """RFC 2033 4.2."""
    world = World(Features("gw", lmtp=True)).greet()

    assert world.send(HELLO) == [500]
    assert world.send(b"LHLO x\r\n") == [250]
    assert world.send(b"MAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n") == [250, 250, 250, 354]
    assert world.send(b".\r\n") == [250, 250]


def test_parameters_of_the_envelope_are_kept_as_written() -> None:
    world = at(State.READY)
    world.send(
        b"MAIL FROM:<a@b.c> BODY=8BITMIME RET=HDRS ENVID=x+2By SIZE=9\r\nRCPT TO:<d@e.f> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;d@e.f\r\nDATA\r\n"
    )
    world.send(b".\r\n")

    envelope = world.mails[0][0]
    assert envelope.sender_parameters == ("BODY=8BITMIME", "RET=HDRS", "ENVID=x+2By", "SIZE=9")
    assert envelope.recipient_parameters == (("NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;d@e.f"),)
    assert (envelope.client, envelope.helo) == ("192.0.2.7", "client.example")


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"MAIL FROM:<a@b.c> BODY=BINARYMIME", b"555 5.6.3"),
        (b"MAIL FROM:<a@b.c> SIZE=99999999999", b"552 5.3.4"),
        (b"MAIL FROM:<a@b.c> SIZE=x", b"501 5.5.4"),
        (b"MAIL FROM:<a@b.c> RET=ALL", b"501 5.5.4"),
        (b"MAIL FROM:<a@b.c> ENVID=a=b", b"555 5.5.4"),
        (b"MAIL FROM:<a@b.c> HOLDFOR=9", b"555 5.5.4"),
        (b"MAIL FROM:<\xc3\xa4@b.c>", b"553 5.6.7"),
        (b"MAIL FROM:<\xe4@b.c>", b"500 5.5.2"),
        (b"MAIL TO:<a@b.c>", b"501 5.5.4"),
        (b"MAIL FROM:a@b.c", b"501 5.1.3"),
        (b"EHLO", b"501 5.5.4"),
        (b"EXPN list", b"502 5.5.1"),
        (b"VRFY root", b"252 2.5.0"),
        (b"XFORWARD ADDR=192.0.2.1", b"550 5.7.0"),
        (b"STARTTLS", b"502 5.5.1"),
        (b"WIZ", b"500 5.5.2"),
        (b"GET / HTTP/1.1", b"500 5.5.2"),
    ],
)
def test_what_is_refused_has_a_code_and_an_enhanced_status(line: bytes, reply: bytes) -> None:
    world = at(State.READY)
    before = len(world.output)
    world.send(line + b"\r\n")

    assert world.output[before:].startswith(reply)
    assert world.protocol.state is State.READY


@pytest.mark.parametrize(
    "line",
    [
        b"RCPT TO:<>",
        b"RCPT TO:<d@e.f> NOTIFY=NEVER,SUCCESS",
        b"RCPT TO:<d@e.f> NOTIFY=",
        b"RCPT TO:<d@e.f> ORCPT=x",
        b"RCPT TO:<d@e.f> SIZE=1",
        b"RCPT TO:<a b@c.d>",
    ],
)
def test_recipients_that_make_no_sense_are_refused(line: bytes) -> None:
    assert at(State.SENDER).send(line + b"\r\n")[0] in {501, 555}


@pytest.mark.parametrize("trusted", [False, True])
def test_only_a_trusted_peer_may_name_the_author(*, trusted: bool) -> None:
    """RFC 4954 5: AUTH= of anybody else is dropped."""
    world = at(State.READY, World(trusted=trusted))
    world.send(b"MAIL FROM:<a@b.c> AUTH=joe@b.c RET=FULL\r\n")

    assert world.protocol.envelope(0).sender_parameters == (("AUTH=joe@b.c", "RET=FULL") if trusted else ("RET=FULL",))


def test_a_mail_over_the_limit_is_refused_and_the_next_one_taken() -> None:
    world = at(State.READY, World(Features("gw", size=100)))
    world.send(MAIL)

    assert world.send(b"x" * 98 + b"\r\ny\r\n.\r\n") == [552]
    assert world.protocol.state is State.READY
    assert world.send(MAIL) == [250, 250, 354]
    assert world.send(b"x\r\n.\r\n") == [250]
    assert [content for _, content in world.mails] == [b"x\r\n"]


def test_a_mail_that_never_ends_is_cut_off() -> None:
    world = at(State.READY, World(Features("gw", size=100)))
    world.send(MAIL)

    assert world.send(b"x" * 300) == [552]
    assert world.protocol.closed


def test_limits_on_recipients_errors_and_idle_talk() -> None:
    """RFC 5321 4.5.3.1.10: 452 for one recipient too many; 421 for a client that only makes errors or conversation."""
    world = at(State.READY, World(Features("gw", recipients=2, errors=3, idle=4)))

    assert world.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<d@e.f>\r\n" * 3) == [250, 250, 250, 452]
    assert world.send(b"WIZ\r\n" * 5) == [500, 500, 500, 421]
    assert at(State.READY, World(Features("gw", idle=4))).send(b"NOOP\r\n" * 9) == [250, 250, 250, 250, 421]


def test_refused_recipients_get_no_mail_and_without_any_there_is_no_data() -> None:
    world = at(State.READY, World(refused=("x@e.f",)))

    assert world.send(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<x@e.f>\r\nDATA\r\n") == [250, 550, 503]
    assert world.send(b"RCPT TO:<d@e.f>\r\nRCPT TO:<x@e.f>\r\nDATA\r\n") == [250, 550, 354]
    world.send(b".\r\n")
    assert world.mails[0][0].recipients == ("d@e.f",)


def test_a_trusted_peer_says_for_whom_it_speaks() -> None:
    """XFORWARD counts for one mail, XCLIENT for the connection; values are xtext."""
    world = at(State.READY, World(trusted=True))

    assert world.send(b"XFORWARD NAME=far.example ADDR=IPV6:2001:db8::9\r\nXFORWARD HELO=a+2Bb IDENT=Q1 PROTO=[UNAVAILABLE]\r\n") == [
        250,
        250,
    ]
    world.send(MAIL)
    world.send(b".\r\n")
    envelope = world.mails[0][0]
    assert (envelope.client, envelope.client_name, envelope.helo, envelope.queue_id) == ("2001:db8::9", "far.example", "a+b", "Q1")
    assert world.protocol.envelope(0).client == "192.0.2.7"
    assert world.send(b"XFORWARD HELO=a+0D+0AMAIL\r\n") == [501]
    assert world.send(b"XCLIENT ADDR=192.0.2.99 LOGIN=joe\r\n") == [220]
    world.send(HELLO)
    assert world.protocol.envelope(0).client == "192.0.2.99"
    assert world.protocol.envelope(0).user == "joe"


@given(
    st.lists(
        st.sampled_from(
            [*GOOD.values(), b"DATA", b"RSET", b"BDAT 3 LAST", b"abc", b".", b"..", b"\r", b"\n", b"\0", b"\r\n", b"\r\n.\r\n", b"\xff"]
        ),
        max_size=40,
    )
)
def test_no_bytes_make_the_protocol_fail_or_answer_outside_the_rules(words: list[bytes]) -> None:
    """Whatever comes, every answer is a well-formed reply, and each mail taken had a sender and a recipient."""
    world = World(trusted=True).greet()
    world.send(HELLO)
    for word in words:
        world.send(word if word.strip(b".\r\n\0") == b"" else word + b"\r\n")

    for line in world.output.split(b"\r\n")[:-1]:
        assert line[:3].isdigit()
        assert line[3:4] in b"- "
    assert all(envelope.recipients for envelope, _ in world.mails)
