"""Log lines and logged packets become the same entries."""

from __future__ import annotations

import contextlib
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.firewall.logged import Entry, LogError, read_line, read_packet

PREFIX = "gatepost:refused:internal "
LINE = f"fw kernel: {PREFIX}IN=eth2 OUT=eth0 SRC=192.168.3.10 DST=198.51.100.66 LEN=60 ID=4711 "


def packet4(proto: int, rest: bytes, *, offset: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(rest), 4711, offset, 64, proto, 0)
    return head + ip_address("192.168.3.10").packed + ip_address("198.51.100.66").packed + rest


def packet6(proto: int, rest: bytes) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(rest), proto, 64)
    return head + ip_address("2001:db8:3::10").packed + ip_address("2001:db8:66::66").packed + rest


def read(content: bytes) -> Entry:
    return read_packet(PREFIX, "eth2", "eth0", content)


@pytest.mark.parametrize(
    ("proto", "rest", "fields"),
    [
        (6, struct.pack("!HH", 40000, 23), "PROTO=TCP SPT=40000 DPT=23 WINDOW=64240 SYN URGP=0"),
        (17, struct.pack("!HH", 40000, 161), "PROTO=UDP SPT=40000 DPT=161 LEN=8"),
        (1, bytes([8, 0, 0, 0, 0, 99, 0, 1]), "PROTO=ICMP TYPE=8 CODE=0 ID=99 SEQ=1"),
        (1, bytes([3, 1, 0, 0, 0, 0, 0, 0]), "PROTO=ICMP TYPE=3 CODE=1"),
        (47, b"\0\0\x08\0", "PROTO=47"),
    ],
)
def test_a_packet_and_the_line_about_it_say_the_same(proto: int, rest: bytes, fields: str) -> None:
    line, packet = read_line(LINE + fields), read(packet4(proto, rest))

    assert (line.kind, line.zone, line.event) == ("refused", "internal", "refused")
    assert (line.source, line.target, line.port) == (packet.source, packet.target, packet.port)
    assert line.sport == (packet.sport if "ID=4711 PROTO=ICMP TYPE=3" not in LINE + fields else 4711)
    assert line.proto == packet.proto or (line.proto, packet.proto) == ("47", "gre")


def test_ports_stand_behind_the_extension_headers_of_ipv6() -> None:
    tcp = struct.pack("!HH", 40000, 445)
    options = bytes([60, 0, 1, 4, 0, 0, 0, 0]) + bytes([6, 0, 1, 4, 0, 0, 0, 0])

    assert read(packet6(6, tcp)) == read(packet6(0, options + tcp))
    assert read(packet6(6, tcp)).source == "2001:db8:3::10"
    assert read(packet6(6, tcp)).port == 445


def test_a_later_fragment_has_no_ports() -> None:
    assert read(packet4(6, struct.pack("!HH", 40000, 445), offset=100)).port == 0
    assert read(packet6(44, bytes([6, 0, 0, 8, 0, 0, 0, 1]) + struct.pack("!HH", 40000, 445))).port == 0


def test_a_flow_that_is_logged_has_its_prefix_as_kind() -> None:
    entry = read_packet("gatepost:ftp access ", "eth2", "eth0", packet4(6, struct.pack("!HH", 40000, 21)))

    assert (entry.event, entry.kind, entry.zone) == ("access", "ftp access", "")


def test_what_is_not_ours_is_refused() -> None:
    with pytest.raises(LogError):
        read_packet("other: ", "eth2", "", packet4(6, b"\0\0\0\0"))
    with pytest.raises(LogError):
        read_packet(PREFIX, "eth2", "", b"")


@given(st.binary(max_size=128))
def test_any_bytes_are_an_entry_or_an_error(content: bytes) -> None:
    with contextlib.suppress(LogError):
        assert 0 <= read(content).port < 65536
