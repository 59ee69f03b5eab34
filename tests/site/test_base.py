"""The units that an administrator writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.site import base
from gatepost.site.base import Endpoint, RateLimit


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600), ("1.5h", 5400)]
)
def test_durations_have_a_unit(text, seconds) -> None:
    assert base.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "30 d", "-1d", "30D", 30, True, None, "30d ", "٣d"[1:]])
def test_what_is_no_duration_is_refused_with_an_example(text) -> None:
    with pytest.raises(ValueError, match="like 30d"):
        base.parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("50M", 52_428_800), ("64K", 65_536), ("1G", 2**30), ("0", 0), (7, 7)])
def test_sizes_are_powers_of_1024(text, size) -> None:
    assert base.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "5Q", "-1", -1, True, 1.5, "M", "5 M"])
def test_what_is_no_size_is_refused_with_an_example(text) -> None:
    with pytest.raises(ValueError, match="like 50M"):
        base.parse_size(text)


def test_rates_are_a_count_in_a_time() -> None:
    assert base.parse_rate("100/m") == RateLimit(100, 60)
    with pytest.raises(ValueError, match="like 100/m"):
        base.parse_rate("100")


@pytest.mark.parametrize(
    ("text", "domain"), [("Widget.Example", "widget.example"), ("bücher.example", "xn--bcher-kva.example"), ("a.b.", "a.b")]
)
def test_domains_are_kept_in_lower_case_ascii(text, domain) -> None:
    assert base.parse_domain(text) == domain


@pytest.mark.parametrize("text", ["", ".", "a..b", "a b", "-a.b", "a/b", "x" * 64 + ".b", "a@b", "a\n.b"])
def test_what_is_no_domain_is_refused(text) -> None:
    with pytest.raises(ValueError, match="not a domain"):
        base.parse_domain(text)


@pytest.mark.parametrize("text", ["joe", "@a.b", "a b@c.d", "a@b@c.d", "a..b@c.d", ".a@c.d", "a@", "<a@b.c>", "a@b\r\nRCPT"])
def test_what_is_no_address_is_refused(text) -> None:
    with pytest.raises(ValueError, match="not a"):
        base.parse_address(text)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("mail:25", Endpoint("mail", 25)),
        ("192.0.2.1:2525", Endpoint("192.0.2.1", 2525)),
        ("[2001:db8::1]:25", Endpoint("2001:db8::1", 25)),
        ("[2001:db8::1]", Endpoint("2001:db8::1", 25)),
        ("mail.example", Endpoint("mail.example", 25)),
    ],
)
def test_endpoints_are_host_and_port(text, endpoint) -> None:
    assert base.parse_endpoint(text, 25) == endpoint


@pytest.mark.parametrize("text", ["", ":25", "mail:", "mail:0", "mail:65536", "2001:db8::1:25", "1.2.3:25", "a b:25", "[x]y:25"])
def test_what_is_no_endpoint_is_refused(text) -> None:
    with pytest.raises(ValueError, match="host:port"):
        base.parse_endpoint(text)


def test_sockets_are_a_path_or_an_endpoint() -> None:
    assert base.parse_socket("unix:/run/x.sock") == "/run/x.sock"
    assert base.parse_socket("tcp:127.0.0.1:3310") == Endpoint("127.0.0.1", 3310)
    for text in ("unix:", "unix:run/x", "/run/x", "tcp:"):
        with pytest.raises(ValueError, match="unix:/"):
            base.parse_socket(text)


@given(st.text())
def test_no_text_makes_a_parser_fail_in_any_other_way(text) -> None:
    for parse in (base.parse_duration, base.parse_size, base.parse_rate, base.parse_domain, base.parse_address, base.parse_socket):
        try:
            parse(text)
        except ValueError:
            continue
