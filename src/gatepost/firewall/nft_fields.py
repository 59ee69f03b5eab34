"""What nftables compares: its keys (`ip saddr`, `th dport`, concatenations) and the values they are compared with.

What it does: turns the left and right sides of matches and the elements of sets into formulas.
Not its job: rules and statements (`nft_reader`).
Raises: nothing; a key or value that is not known becomes an undecided condition that names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from gatepost.firewall.catalogue import ICMP6_TYPES, ICMP_TYPES
from gatepost.firewall.formula import (
    FALSE,
    FLAG_BITS,
    ICMP,
    ICMP6,
    PORT_PROTOCOLS,
    PROTOCOLS,
    STATES,
    TCP,
    TRUE,
    Bits,
    Field,
    Formula,
    Name,
    Not,
    Range,
    Unknown,
    both,
    either,
    equal,
    family,
    state,
)

Json = dict[str, Any]

_META = {"iifname": Field.IIF, "oifname": Field.OIF, "iif": Field.IIF, "oif": Field.OIF, "l4proto": Field.PROTO}
_ADDRESSES = {
    ("ip", "saddr"): (Field.SRC, 4),
    ("ip", "daddr"): (Field.DST, 4),
    ("ip6", "saddr"): (Field.SRC, 6),
    ("ip6", "daddr"): (Field.DST, 6),
}
_ICMP = {"icmp": (ICMP, ICMP_TYPES), "icmpv6": (ICMP6, ICMP6_TYPES)}
_FAMILY_NAMES = {"ipv4": 4, "ipv6": 6, "ip": 4, "ip6": 6}
_TRACKED = state("new", "established", "related")
_HAVE_PORTS = {(number, number) for number in PORT_PROTOCOLS}
_PORT_NAMES = {"ssh": 22, "smtp": 25, "domain": 53, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Simple:
    """One field; `guard` is what must hold before the field exists at all (protocol, IP version).

    `names` are the words for its numbers, `mask` the bits compared, `otherwise` what to call it where the field's meaning is not known.
    """

    field: Field | None
    guard: Formula = TRUE
    names: Any = None
    mask: int | None = None
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """The left side of a match, or the key of a set: one field or several. `text` is its identity."""

    parts: tuple[Simple, ...]
    text: str

    @property
    def guard(self) -> Formula:
        """What must hold before any comparison with this key can: `!=` denies the value, never the IP version or protocol."""
        return both(*(part.guard for part in self.parts))

    def single(self, right: Any, op: str = "==") -> Formula:
        """The key compared with one value, by an operator of nft's JSON."""
        part = self.parts[0]
        if len(self.parts) == 1 and part.field is Field.FLAGS and part.mask is None:
            return _flag_test(part, right, op)
        if op in {"<", ">", "<=", ">="}:
            return _ordered(part, right, op)
        if op not in {"==", "!=", "in"}:
            return Unknown(f"{self.text} {op} {json.dumps(right, sort_keys=True)}")
        return self.value(right)

    def value(self, value: Any) -> Formula:
        """The key is `value`: for a concatenation, part by part."""
        if isinstance(value, dict) and "elem" in value:
            value = value["elem"]["val"]
        if isinstance(value, dict) and "set" in value:
            return either(self.value(one) for one in value["set"])
        if isinstance(value, list) and len(self.parts) == 1:
            return either(self.value(one) for one in value)
        if len(self.parts) == 1:
            return _equals(self.parts[0], value)
        values = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
        pairs = list(zip(self.parts, values, strict=True))
        # With a protocol that has ports beside it, `th dport` is simply the port.
        plain = any(part.field is Field.PROTO and _span(one, part.names) in _HAVE_PORTS for part, one in pairs)
        return both(*(_equals(replace(part, otherwise="") if plain and part.otherwise else part, one) for part, one in pairs))

    def rows(self, elements: list[Any]) -> list[tuple[Formula, Any]]:
        """The elements of a set (what stands for them is None) or of a map."""
        return [(self.value(one[0]), one[1]) if isinstance(one, list) else (self.value(one), None) for one in elements]

    def numbers(self, value: Any) -> tuple[int, int] | None:
        """A value as a range of numbers, where no names can occur: the new address or port of a translation."""
        return None if value is None else _span(value, {})


def key_of(left: Any) -> Key:
    """The key that an expression of nft's JSON stands for."""
    parts = left["concat"] if isinstance(left, dict) and "concat" in left else [left]
    return Key(tuple(_simple(part) for part in parts), json.dumps(left, sort_keys=True))


def _simple(left: Any) -> Simple:
    if not isinstance(left, dict):
        return Simple(None, otherwise=str(left))
    kind, value = next(iter(left.items()))
    if kind in _KINDS:
        return _KINDS[kind](value)
    return Simple(None, otherwise=json.dumps(left, sort_keys=True))


def _meta(value: Json) -> Simple:
    which = value["key"]
    if which in _META:
        return Simple(_META[which], names=PROTOCOLS if which == "l4proto" else None)
    if which in {"nfproto", "protocol"}:
        return Simple(Field.FAMILY, names=_FAMILY_NAMES)
    return Simple(None, otherwise=f"meta {which}")


def _ct(value: Json) -> Simple:
    if value["key"] == "state" and "dir" not in value:
        return Simple(Field.STATE, names={name: index for index, name in enumerate(STATES)})
    # Without a connection there is nothing to compare, so even `!=` does not match.
    if value["key"] == "helper":
        return Simple(Field.HELPER, both(_TRACKED, Not(Name(Field.HELPER, ""))))
    if value["key"] == "status":
        return Simple(Field.TRANSLATED, _TRACKED, names={"dnat": 1})
    return Simple(None, _TRACKED, otherwise=f"ct {json.dumps(value, sort_keys=True)}")


def _payload(value: Json) -> Simple:  # noqa: PLR0911 - one return for each kind of header field
    protocol, which = value.get("protocol", ""), value.get("field", "")
    if (protocol, which) in _ADDRESSES:
        field, version = _ADDRESSES[(protocol, which)]
        return Simple(field, family(version), names={})
    if (protocol, which) in {("ip", "protocol"), ("ip6", "nexthdr")}:
        return Simple(Field.PROTO, family(_FAMILY_NAMES[protocol]), names=PROTOCOLS)
    if which in {"sport", "dport"}:
        field = Field.SPORT if which == "sport" else Field.DPORT
        if protocol == "th":
            return Simple(field, names=_PORT_NAMES, otherwise=f"th {which}")
        return Simple(field, equal(Field.PROTO, PROTOCOLS.get(protocol, 255)), names=_PORT_NAMES)
    if protocol in _ICMP and which in {"type", "code"}:
        number, names = _ICMP[protocol]
        version = 4 if number == ICMP else 6
        return Simple(Field.DPORT if which == "type" else Field.SPORT, both(family(version), equal(Field.PROTO, number)), names=names)
    if (protocol, which) == ("tcp", "flags"):
        return Simple(Field.FLAGS, equal(Field.PROTO, TCP), names=FLAG_BITS)
    guard = equal(Field.PROTO, PROTOCOLS[protocol]) if protocol in PROTOCOLS and protocol != "ipv6" else TRUE
    guard = family(_FAMILY_NAMES[protocol]) if protocol in {"ip", "ip6"} else guard
    return Simple(None, guard, otherwise=json.dumps(value, sort_keys=True))


def _masked(value: list[Any]) -> Simple:
    """`tcp flags & (fin | syn)`, `ip saddr & 0xffff0000`, `ip frag-off & 0x1fff`."""
    inner, mask = value
    text = json.dumps(value, sort_keys=True)
    if not isinstance(inner, dict) or "payload" not in inner:
        return Simple(None, otherwise=text)
    payload = inner["payload"]
    if (payload.get("protocol"), payload.get("field")) == ("ip", "frag-off") and mask == 0x1FFF:  # noqa: PLR2004 - the offset bits
        return Simple(Field.FRAGMENT, family(4), names={})
    part = _payload(payload)
    number = _bits(mask, part.names or {})
    if part.field is None or number is None:
        return Simple(None, part.guard, otherwise=text)
    return Simple(part.field, part.guard, part.names, mask=number)


def _exthdr(value: Json) -> Simple:
    if value.get("name") == "frag" and "field" not in value:
        return Simple(Field.FRAGMENT, family(6), names={True: 1, False: 0})
    return Simple(None, family(6), otherwise=f"exthdr {json.dumps(value, sort_keys=True)}")


_KINDS: dict[str, Callable[[Any], Simple]] = {"meta": _meta, "ct": _ct, "payload": _payload, "&": _masked, "exthdr": _exthdr}


def _bits(value: Any, names: Any) -> int | None:
    """Flags joined by | as one number; None when a name is not known."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, str):
        if value in names:
            return int(names[value])
        return int(ip_address(value)) if names == {} and ("." in value or ":" in value) else None
    parts = value if isinstance(value, list) else value.get("|") if isinstance(value, dict) else None
    if parts is None:
        return None
    numbers = [_bits(part, names) for part in parts]
    return None if any(number is None for number in numbers) else _join(numbers)


def _join(numbers: list[int | None]) -> int:
    total = 0
    for number in numbers:
        total |= number or 0
    return total


def _span(value: Any, names: Any) -> tuple[int, int] | None:
    """A value, range or prefix as the lowest and the highest number; None for what is not known."""
    if isinstance(value, dict) and "range" in value:
        low, high = (_span(one, names) for one in value["range"])
        return None if low is None or high is None else (low[0], high[1])
    if isinstance(value, dict) and "prefix" in value:
        net = ip_network(f"{value['prefix']['addr']}/{value['prefix']['len']}", strict=False)
        return int(net.network_address), int(net.broadcast_address)
    if isinstance(value, bool | int):
        return int(value), int(value)
    if isinstance(value, str):
        return _named(value, names or {})
    number = _bits(value, names)
    return None if number is None else (number, number)


def _named(text: str, names: Any) -> tuple[int, int] | None:
    """A word for a number, or an address; an address in numbers is much the most frequent, so it is tried without building objects."""
    if text in names:
        return names[text], names[text]
    if text.isdigit():
        return int(text), int(text)
    if text == "*":
        return 0, (1 << 128) - 1
    try:
        number = int.from_bytes(inet_pton(AF_INET6 if ":" in text else AF_INET, text))
    except OSError:
        return None
    return number, number


def _equals(part: Simple, value: Any) -> Formula:
    if part.field is None:
        return both(part.guard, Unknown(f"{part.otherwise} == {json.dumps(value, sort_keys=True)}"))
    if part.field in {Field.IIF, Field.OIF, Field.HELPER}:
        if not isinstance(value, str):
            return Unknown(f"{part.field} == {json.dumps(value)}")
        return both(part.guard, TRUE if value == "*" else Name(part.field, value))
    span = _span(value, {True: 1, False: 0} if part.names is None else part.names)
    if span is None:
        return both(part.guard, Unknown(f"{part.field} == {json.dumps(value, sort_keys=True)}"))
    if part.mask is not None:
        test: Formula = Bits(part.field, part.mask, span[0])
    else:
        test = Range(part.field, *span)
    if part.otherwise:
        return _any_header(part, test)
    return both(part.guard, test)


def _any_header(part: Simple, test: Formula) -> Formula:
    """`th dport` reads the third and fourth byte of any protocol; only where they are ports is their value known."""
    has_ports = either(equal(Field.PROTO, number) for number in PORT_PROTOCOLS)
    return either([both(has_ports, test), both(Not(has_ports), Unknown(f"{part.otherwise} of other protocols: {test}"))])


def _flag_test(part: Simple, right: Any, op: str) -> Formula:
    """`tcp flags syn` asks for any of the bits, `tcp flags == syn` for exactly these, `tcp flags ! syn` for none."""
    bits = _bits(right, FLAG_BITS)
    if bits is None:
        return both(part.guard, Unknown(f"tcp flags {op} {json.dumps(right, sort_keys=True)}"))
    exact: Formula = Bits(Field.FLAGS, 63, bits)
    none: Formula = Bits(Field.FLAGS, bits, 0)
    tests = {"==": exact, "!=": exact, "in": Not(none), "!": none}
    if op not in tests:
        return both(part.guard, Unknown(f"tcp flags {op} {right}"))
    return both(part.guard, tests[op])


def _ordered(part: Simple, right: Any, op: str) -> Formula:
    span = None if part.field is None or part.mask is not None else _span(right, part.names)
    if span is None or part.field is None:
        return both(part.guard, Unknown(f"{part.otherwise or part.field} {op} {json.dumps(right, sort_keys=True)}"))
    top = (1 << 128) - 1
    limits = {"<": (0, span[0] - 1), "<=": (0, span[0]), ">": (span[0] + 1, top), ">=": (span[0], top)}
    low, high = limits[op]
    test = Range(part.field, low, high) if low <= high else FALSE
    return _any_header(part, test) if part.otherwise else both(part.guard, test)
