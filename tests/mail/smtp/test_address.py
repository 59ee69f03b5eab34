"""Addresses and parameters of the envelope."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.smtp.address import AddressError, check, from_xtext, path, to_xtext

GOOD = [
    "",
    "postmaster",
    "a@b.c",
    "a.b+c=d@example.org",
    '"quoted"@b.c',
    "a..b.@docomo.example",
    "a@[192.0.2.1]",
    "a@[IPv6:2001:db8::1]",
    "ä@bücher.example",
    "a@b_c.d",
    "a@localhost",
]
BAD = [
    "a", "a@", "@b.c", "a@b.c\r\nRCPT TO:<x@y.z", "a@b.c\n", "a@b.c\0", "a b@c.d", '"a b"@c.d', "a@b.c>", "<a@b.c", '"a>"@b.c', '"a\r\n"@b.c', "a@b c.d",
    "a@b..c", "a@.b", "a\x85b@c.d", "a\u2028b@c.d", "a\xa0b@c.d", "a@b.c\udc80", "a@b@c.d", "x" * 251 + "@b.c",
]  # fmt: skip


@pytest.mark.parametrize("address", GOOD)
def test_a_lawful_address_passes(address: str) -> None:
    assert check(address) == address


@pytest.mark.parametrize("address", BAD)
def test_an_address_that_could_be_read_as_more_is_refused(address: str) -> None:
    with pytest.raises(AddressError):
        check(address)


@given(st.text())
def test_no_address_that_passes_can_end_a_line_or_a_bracket(address: str) -> None:
    try:
        check(address)
    except AddressError:
        return
    assert not set(address) & set("\r\n\0 <>\t\x0b\x0c\x85\u2028\u2029")


def test_a_source_route_is_dropped_and_parameters_are_named_in_capitals() -> None:
    """RFC 5321 4.1.1.3: a source route is accepted and ignored."""
    assert path("<@relay.example,@b.example:a@b.c> size=7 SMTPUTF8", frozenset({"SIZE", "SMTPUTF8"})) == (
        "a@b.c",
        {"SIZE": "7", "SMTPUTF8": ""},
    )


@pytest.mark.parametrize(
    "text",
    [
        "a@b.c",
        "<a@b.c",
        "<a@b.c>SIZE=1",
        "<a@b.c> SIZE=1 SIZE=2",
        "<a@b.c> X=1",
        "<a@b.c> SIZE=",
        "<a@b.c> =1",
        "<a@b.c><d@e.f>",
        "  <a@b.c>",
    ],
)
def test_what_is_no_path_or_no_known_parameter_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        path(text, frozenset({"SIZE"}))


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S"))))
def test_xtext_keeps_every_printable_text(text: str) -> None:
    assert from_xtext(to_xtext(text)) == text


@pytest.mark.parametrize("text", ["a+0D+0Ab", "a+0", "a b", "a=b", "+0a"])
def test_xtext_that_hides_a_line_end_or_is_malformed_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        from_xtext(text)
