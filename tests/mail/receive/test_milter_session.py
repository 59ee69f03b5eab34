"""Milter sessions without I/O: order, envelope, exact bytes, limits."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import milter_client as mta

from gatepost.mail.model import Envelope, Reply
from gatepost.mail.receive.milter_session import BUSY, Abandoned, Closed, Content, EndOfMessage, Event, MilterLimits, MilterSession
from gatepost.mail.receive.milter_wire import AFTER, NO_REPLY, Command, ProtocolError, State, Step

MAIL = b"Subject: one\r\n two\r\nX-Tab:\tx\r\nX-None:\r\nX-Bytes: \xff\xe4\r\n\r\nbody\r\n\xff.\r\n"
PAYLOADS = {
    Command.OPTNEG: mta.negotiation()[5:],
    Command.MACRO: b"Mi\x004ABC\0",
    Command.CONNECT: mta.connect()[5:],
    Command.HELO: b"client\0",
    Command.MAIL: b"<a@example.org>\0",
    Command.RCPT: b"<b@example.net>\0",
    Command.HEADER: b"Subject\0 x\0",
    Command.BODY: b"hello\r\n",
    Command.UNKNOWN: b"XYZZY\0",
}
WAYS = {
    State.OPENED: [],
    State.READY: [Command.OPTNEG],
    State.SENDER: [Command.OPTNEG, Command.MAIL],
    State.RECIPIENTS: [Command.OPTNEG, Command.MAIL, Command.RCPT],
    State.HEADER: [Command.OPTNEG, Command.MAIL, Command.RCPT, Command.HEADER],
    State.BODY: [Command.OPTNEG, Command.MAIL, Command.RCPT, Command.EOH],
    State.JUDGED: [Command.OPTNEG, Command.MAIL, Command.RCPT, Command.EOH, Command.EOB],
    State.CLOSED: [Command.QUIT],
}


def command(name: Command) -> bytes:
    return mta.packet(bytes([name]), PAYLOADS.get(name, b""))


def feed(session: MilterSession, data: bytes, step: int) -> list[Event]:
    """Feed in pieces; content is copied, because it is valid until the next feed only."""
    events: list[Event] = []
    for start in range(0, len(data), step):
        new = session.feed(data[start : start + step], 7.0)
        events.extend(Content(bytes(event.data)) if isinstance(event, Content) else event for event in new)
    return events


def content(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Content))


def end(events: list[Event]) -> EndOfMessage:
    (message,) = (event for event in events if isinstance(event, EndOfMessage))
    return message


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", Command)
def test_each_command_in_each_state_goes_where_the_table_says(state: State, name: Command) -> None:
    session = MilterSession(MilterLimits())
    session.feed(b"".join(map(command, WAYS[state])))
    assert session.state is state

    if name in AFTER[state]:
        session.feed(command(name))
        assert session.state is AFTER[state][name]
    else:
        with pytest.raises(ProtocolError):
            session.feed(command(name))


@pytest.mark.parametrize("name", sorted(NO_REPLY))
@pytest.mark.parametrize("silent", [True, False])
def test_a_command_gets_one_reply_unless_its_silence_was_agreed(name: int, silent: bool) -> None:
    state = next(state for state in State if name in AFTER[state])
    session = MilterSession(MilterLimits())
    session.feed(mta.negotiation(6, 0, NO_REPLY[name] if silent else 0))
    session.feed(b"".join(map(command, WAYS[state][1:])))
    session.take()

    session.feed(command(Command(name)))

    assert session.take() == (b"" if silent else mta.packet(b"c"))


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_mail_and_envelope_are_the_same_however_the_bytes_arrive(step: int) -> None:
    session = MilterSession(MilterLimits())

    events = feed(session, mta.session(MAIL, (b"<b@example.net>", b"c@example.net")), step)

    assert content(events) == MAIL
    assert end(events) == EndOfMessage(
        Envelope(
            sender="a@example.org",
            recipients=("b@example.net", "c@example.net"),
            client="192.0.2.10",
            client_name="client.example.org",
            helo="client.example.org",
            user="alice",
            queue_id="4ABCD",
            received=7.0,
            sender_parameters=("SIZE=10",),
            recipient_parameters=((), ()),
        ),
        {"b@example.net": b"<b@example.net>", "c@example.net": b"c@example.net"},
        None,
    )


def test_everything_is_silent_but_negotiation_with_an_mta_that_offers_all() -> None:
    session = MilterSession(MilterLimits())
    session.feed(mta.session(MAIL))

    reply = session.take()

    assert reply[:5] == mta.packet(b"O", b"x" * (len(reply) - 5))[:5]
    assert session.options.steps & sum(NO_REPLY.values()) == sum(NO_REPLY.values())


def test_the_space_that_an_old_mta_eats_is_put_back() -> None:
    session = MilterSession(MilterLimits())
    session.feed(mta.negotiation(2, 0x3F, 0x7F))
    session.feed(command(Command.MAIL) + command(Command.RCPT))

    events = session.feed(mta.arguments(b"L", b"Subject", b"x\n y") + mta.arguments(b"L", b"X-Tab", b"\tx") + mta.packet(b"N"))

    assert content(events) == b"Subject: x\r\n y\r\nX-Tab: \tx\r\n\r\n"
    assert session.options.version == 2


def test_a_carriage_return_before_a_fold_is_content_and_stays() -> None:
    session = MilterSession(MilterLimits())
    session.feed(mta.negotiation() + command(Command.MAIL) + command(Command.RCPT))

    events = session.feed(mta.arguments(b"L", b"X", b" a\r\n b\rc") + mta.packet(b"N"))

    assert content(events) == b"X: a\r\r\n b\rc\r\n\r\n"


def test_a_mail_without_header_begins_with_an_empty_line() -> None:
    session = MilterSession(MilterLimits())
    session.feed(mta.negotiation() + command(Command.MAIL) + command(Command.RCPT))

    assert content(session.feed(mta.packet(b"N") + mta.packet(b"B", b"text\r\n"))) == b"\r\ntext\r\n"


def test_body_bytes_sent_with_end_of_message_count() -> None:
    session = MilterSession(MilterLimits())
    session.feed(b"".join(map(command, WAYS[State.BODY])))

    assert content(session.feed(mta.packet(b"E", b"tail\r\n"))) == b"tail\r\n"


def test_a_second_mail_inherits_nothing_from_the_first_but_the_client() -> None:
    session = MilterSession(MilterLimits())
    session.feed(mta.session(MAIL))
    session.answered()

    events = session.feed(mta.arguments(b"M", b"<>") + command(Command.RCPT) + mta.packet(b"N") + mta.packet(b"E"))

    envelope = end(events).envelope
    assert (envelope.sender, envelope.user, envelope.queue_id, envelope.sender_parameters) == ("", "", "", ())
    assert (envelope.client, envelope.recipients) == ("192.0.2.10", ("b@example.net",))
    assert content(events) == b"\r\n"


def test_mail_after_mail_starts_anew_because_sendmail_sends_no_abort() -> None:
    session = MilterSession(MilterLimits())
    session.feed(mta.negotiation() + mta.macros(b"M", auth_authen=b"alice") + command(Command.MAIL) + command(Command.RCPT))

    events = session.feed(
        mta.arguments(b"M", b"<c@example.org>") + mta.arguments(b"R", b"<d@example.net>") + mta.packet(b"N") + mta.packet(b"E")
    )

    envelope = end(events).envelope
    assert (envelope.sender, envelope.recipients, envelope.user) == ("c@example.org", ("d@example.net",), "")


def test_abort_and_quit_are_told() -> None:
    session = MilterSession(MilterLimits())
    session.feed(b"".join(map(command, WAYS[State.BODY])))

    assert session.feed(mta.packet(b"A")) == [Abandoned()]
    assert session.feed(mta.packet(b"Q")) == [Closed()]


def test_quit_for_a_new_connection_forgets_the_client_and_keeps_the_agreement() -> None:
    session = MilterSession(MilterLimits())
    session.feed(mta.session(MAIL))

    session.feed(mta.packet(b"K"))
    events = session.feed(command(Command.MAIL) + command(Command.RCPT) + mta.packet(b"N") + mta.packet(b"E"))

    assert end(events).envelope.client == ""
    assert session.options.steps & Step.NR_HDR


def test_macros_repeated_before_every_header_field_change_nothing() -> None:
    session = MilterSession(MilterLimits())
    session.feed(mta.negotiation() + command(Command.MAIL) + command(Command.RCPT))

    events = session.feed((mta.macros(b"L", i=b"4ABC") + command(Command.HEADER)) * 3 + mta.packet(b"N") + mta.packet(b"E"))
    session.answered()
    again = session.feed(command(Command.MAIL) + command(Command.RCPT) + mta.macros(b"L", i=b"4ABC") + mta.packet(b"N") + mta.packet(b"E"))

    assert content(events) == b"Subject: x\r\n" * 3 + b"\r\n"
    assert (end(events).envelope.queue_id, end(again).envelope.queue_id) == ("4ABC", "4ABC")


def test_client_address_comes_from_the_macro_where_connect_has_none() -> None:
    session = MilterSession(MilterLimits())
    session.feed(mta.negotiation() + mta.macros(b"C", client_addr=b"192.0.2.1") + mta.connect(b"unknown", b"U"))

    events = session.feed(command(Command.MAIL) + command(Command.RCPT) + mta.packet(b"N") + mta.packet(b"E"))

    assert (end(events).envelope.client, end(events).envelope.client_name) == ("192.0.2.1", "")


@pytest.mark.parametrize(
    ("limits", "mail"),
    [
        (MilterLimits(message=100), b"Subject: x\r\n\r\n" + b"x" * 200),
        (MilterLimits(header=50), b"Subject: " + b"x" * 60 + b"\r\n\r\n"),
        (MilterLimits(fields=3), b"X: y\r\n" * 4 + b"\r\n"),
    ],
)
def test_a_mail_over_a_limit_is_refused_at_its_end_and_not_kept(limits: MilterLimits, mail: bytes) -> None:
    session = MilterSession(limits)

    events = session.feed(mta.session(mail))

    assert end(events).refusal == limits.oversize
    assert len(content(events)) <= limits.message


def test_the_reply_to_an_oversized_mail_is_the_configured_one() -> None:
    later = Reply(452, "4.3.4", "Too big for now")

    events = MilterSession(MilterLimits(message=10, oversize=later)).feed(mta.session(MAIL))

    assert end(events).refusal == later


def test_too_many_recipients_refuse_the_mail_where_no_reply_is_due() -> None:
    limits = MilterLimits(recipients=2)

    events = MilterSession(limits).feed(mta.session(MAIL, [b"<%d@example.net>" % number for number in range(3)]))

    assert end(events).refusal == limits.crowded


def test_too_many_recipients_are_put_off_one_by_one_where_a_reply_is_due() -> None:
    session = MilterSession(MilterLimits(recipients=1))
    session.feed(mta.negotiation(6, 0, 0) + command(Command.MAIL) + command(Command.RCPT))
    session.take()

    session.feed(mta.arguments(b"R", b"<late@example.net>"))
    assert session.take().startswith(mta.packet(b"y", b"x" * len("452 4.5.3 Too many recipients for one message\0"))[:5] + b"452 4.5.3")

    message = end(session.feed(mta.packet(b"N") + mta.packet(b"E")))
    assert (message.refusal, message.envelope.recipients) == (None, ("b@example.net",))


def test_an_oversized_body_is_skipped_where_the_mta_can() -> None:
    session = MilterSession(MilterLimits(message=10))
    session.feed(mta.negotiation(6, 0, Step.SKIP) + b"".join(map(command, WAYS[State.BODY][1:])))
    session.take()

    session.feed(mta.packet(b"B", b"x" * 20))

    assert session.take() == mta.packet(b"s")


def test_a_busy_session_defers_at_once_and_takes_no_mail() -> None:
    session = MilterSession(MilterLimits(), busy=True)
    session.feed(mta.negotiation())
    session.take()

    session.feed(mta.connect())
    assert session.take() == mta.packet(b"t")

    assert end(session.feed(b"".join(map(command, WAYS[State.JUDGED][1:])))).refusal == BUSY


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0O",
        b"\xff\xff\xff\xffO",
        mta.packet(b"O", b"short"),
        mta.negotiation(0),
        mta.negotiation(1),
        mta.negotiation() + mta.packet(b"Z"),
        mta.negotiation() + mta.packet(b"M"),
        mta.negotiation() + mta.packet(b"M", b"<a@b>"),
        mta.negotiation() + mta.packet(b"D", b"Mi\0"),
        mta.negotiation() + mta.packet(b"D"),
        mta.negotiation() + command(Command.MAIL) + command(Command.RCPT) + mta.packet(b"L", b"Subject\0x"),
        mta.negotiation() + command(Command.MAIL) + command(Command.RCPT) + mta.packet(b"L", b"Subject\0x\0y\0"),
        mta.negotiation() + command(Command.MAIL) + command(Command.RCPT) + mta.packet(b"L", b"\0x\0"),
        mta.negotiation() + mta.packet(b"H", b"x" * 100_000),
    ],
)
def test_malformed_packets_end_the_session(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        MilterSession(MilterLimits()).feed(data)


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([command(name) for name in Command])), max_size=12))
@settings(max_examples=300)
def test_nothing_but_protocol_error_escapes_and_content_belongs_to_a_mail(pieces: list[bytes]) -> None:
    session = MilterSession(MilterLimits())
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            events = session.feed(piece)
            assert session.state in {State.BODY, State.JUDGED, State.READY, State.CLOSED} or not content(events)


@given(st.binary(max_size=400), st.integers(1, 60))
def test_any_body_is_rebuilt_byte_for_byte(body: bytes, step: int) -> None:
    mail = b"Subject: x\r\n\r\n" + body

    assert content(feed(MilterSession(MilterLimits()), mta.session(mail), step)) == mail
