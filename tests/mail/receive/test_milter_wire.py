"""The codec and the tables of the milter protocol."""

from __future__ import annotations

import contextlib
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import milter_client as mta

from gatepost.mail.model import Reply
from gatepost.mail.receive import milter_wire as wire
from gatepost.mail.receive.milter_wire import Action, Command, Options, ProtocolError, Response, Stage, State

word = st.binary(max_size=60).filter(lambda value: b"\0" not in value)


def test_every_command_has_its_lawful_replies() -> None:
    assert set(wire.LAWFUL) == set(Command)


def test_every_state_says_what_may_come() -> None:
    assert set(wire.AFTER) == set(State)
    assert all(command in set(Command) for row in wire.AFTER.values() for command in row)


def test_only_commands_that_get_a_reply_can_be_silenced() -> None:
    assert {command for command in Command if wire.LAWFUL[command]} - {Command.OPTNEG, Command.EOB} == set(wire.NO_REPLY)


def test_every_change_needs_an_agreed_action_and_is_lawful_at_end_of_message_only() -> None:
    for change in wire.NEEDS:
        assert [command for command in Command if change in wire.LAWFUL[command]] == [Command.EOB]


@pytest.mark.parametrize("command", Command)
@pytest.mark.parametrize("response", Response)
def test_reply_packs_what_the_table_allows_and_refuses_the_rest(command: Command, response: Response) -> None:
    if response in wire.LAWFUL[command]:
        assert wire.reply(command, response) == mta.packet(bytes([response]))
    else:
        with pytest.raises(ProtocolError):
            wire.reply(command, response)


@given(st.lists(word, max_size=8))
def test_strings_come_back_as_an_mta_packs_them(values: list[bytes]) -> None:
    assert wire.strings(mta.arguments(b"R", *values)[5:]) == values


@given(st.binary(max_size=40))
def test_text_survives_the_way_to_str_and_back(value: bytes) -> None:
    data = value.replace(b"\0", b"")

    assert wire.cstring(wire.text(data)) == data + b"\0"


@given(st.ip_addresses(), word)
def test_connect_gives_name_and_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address, host: bytes) -> None:
    family, tag = (b"4", "") if address.version == 4 else (b"6", "IPv6:")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None

    payload = mta.connect(host, family, 25, f"{tag}{address}".encode())[5:]

    assert wire.connection(payload) == (wire.text(host), str(mapped or address))


def test_connect_knows_local_and_unknown_clients() -> None:
    assert wire.connection(mta.connect(b"localhost", b"L", 0, b"/run/x")[5:]) == ("localhost", "/run/x")
    assert wire.connection(mta.connect(b"localhost", b"U")[5:]) == ("localhost", "")


@pytest.mark.parametrize(
    "payload", [b"", b"host", b"host\0", b"host\0X\0\0\0", b"host\x004", b"host\x004\0\x191.2.3.4", b"host\x004\0\x19x\0"]
)
def test_connect_that_is_malformed_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.connection(payload)


@given(st.dictionaries(st.sampled_from(["i", "j", "auth_authen", "mail_addr"]), word))
def test_macros_come_back_without_braces(values: dict[str, bytes]) -> None:
    stage, found = wire.macros(mta.macros(b"M", **values)[5:])

    assert stage == Command.MAIL
    assert found == {name.encode(): value for name, value in values.items()}


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_but_protocol_error(payload: bytes) -> None:
    for decode in (wire.strings, wire.connection, wire.macros, wire.options):
        with contextlib.suppress(ProtocolError):
            decode(payload)


@given(*[st.integers(0, 2**32 - 1)] * 5)
def test_agreement_never_exceeds_offer_or_wish(version: int, actions: int, steps: int, wanted: int, wished: int) -> None:
    offer = wire.options(mta.negotiation(version, actions, steps)[5:])
    if version < 2:
        with pytest.raises(ProtocolError):
            offer.agree(wanted, wished)
    else:
        assert offer.agree(wanted, wished) == Options(min(version, 6), actions & wanted, steps & wished)


def test_macro_lists_are_sent_only_where_they_were_offered() -> None:
    names = wire.macro_lists({Stage.MAIL: "i {auth_authen}", Stage.EOH: ""})

    assert wire.agreement(Options(6, Action.SETSYMLIST, 0), names)[17:] == b"\0\0\0\2i {auth_authen}\0\0\0\0\6\0"
    assert wire.agreement(Options(6, 0, 0), names)[17:] == b""


def test_reply_code_doubles_percent_signs() -> None:
    assert wire.reply_code(Reply(550, "5.7.1", "100% bad")) == mta.packet(b"y", b"550 5.7.1 100%% bad\0")


def test_reply_code_of_a_long_text_has_several_lines_each_with_code_and_status() -> None:
    lines = wire.reply_code(Reply(451, "4.3.0", "word " * 200))[5:-1].split(b"\r\n")

    assert len(lines) == 3
    assert [line[:10] for line in lines] == [b"451-4.3.0 ", b"451-4.3.0 ", b"451 4.3.0 "]


@given(st.integers(400, 599), st.text())
def test_reply_code_is_always_printable_lines_of_bounded_length(code: int, words: str) -> None:
    packet = wire.reply_code(Reply(code, f"{code // 100}.7.1", words))

    assert struct.unpack("!I", packet[:4])[0] == len(packet) - 4
    assert packet.endswith(b"\0")
    for line in packet[5:-1].split(b"\r\n"):
        assert len(line) < 980
        assert line.startswith(str(code).encode())
        assert all(0x20 <= byte < 0x7F for byte in line)


@pytest.mark.parametrize(
    "reply", [Reply(250, "2.0.0", "ok"), Reply(550, "4.7.1", "x"), Reply(550, "", "x"), Reply(55, "5.7.1", "x"), Reply(5500, "5.7.1", "x")]
)
def test_reply_code_that_is_no_refusal_is_refused(reply: Reply) -> None:
    with pytest.raises(ProtocolError):
        wire.reply_code(reply)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: b", "a\nX-Evil: b", "a\rb", "a\0b", "a\r\n", "\n\nbody"])
def test_header_value_cannot_break_out_of_its_field(value: str) -> None:
    with pytest.raises(ProtocolError):
        wire.insert_header("X-Test", value, space=True)


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\n", "Ü"])
def test_header_name_must_be_a_field_name(name: str) -> None:
    with pytest.raises(ProtocolError):
        wire.add_header(name, "x", space=True)


def test_folded_header_value_is_sent_with_bare_newlines() -> None:
    assert wire.add_header("X", "a\r\n\tb\n c", space=True) == mta.packet(b"h", b"X\0 a\n\tb\n c\0")


def test_each_change_has_the_layout_that_both_mtas_read() -> None:
    assert wire.insert_header("X", "v", space=False, index=3) == mta.packet(b"i", b"\0\0\0\3X\0v\0")
    assert wire.change_header("X", "v", 2, space=True) == mta.packet(b"m", b"\0\0\0\2X\0 v\0")
    assert wire.delete_header("X", 1) == mta.packet(b"m", b"\0\0\0\1X\0\0")
    assert wire.delete_recipient(b"<a@b>") == mta.packet(b"-", b"<a@b>\0")
    assert wire.add_recipient("<a@b>") == mta.packet(b"+", b"<a@b>\0")
    assert wire.add_recipient("<a@b>", "NOTIFY=NEVER") == mta.packet(b"2", b"<a@b>\0NOTIFY=NEVER\0")
    assert wire.change_sender("<a@b>") == mta.packet(b"e", b"<a@b>\0")
    assert wire.change_sender("<>", "BODY=7BIT") == mta.packet(b"e", b"<>\0BODY=7BIT\0")
    assert wire.hold("why") == mta.packet(b"q", b"why\0")


@given(st.integers(0, 200_000))
def test_replaced_body_is_cut_into_chunks_that_sendmail_takes(size: int) -> None:
    body = bytes(size)
    packets = list(wire.replace_body(body))

    assert all(packet[4:5] == b"b" and len(packet) <= 65_540 for packet in packets)
    assert b"".join(packet[5:] for packet in packets) == body


def test_text_without_bytes_is_refused() -> None:
    with pytest.raises(ProtocolError):
        wire.cstring("\ud800")
