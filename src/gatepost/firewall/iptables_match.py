"""The words of an iptables rule: what each option asks of a packet, and what each target does.

What it does: one table of options; each gives a formula, or an undecided condition that names it.
Not its job: chains, tables and files (`iptables_reader`).
Raises: `Refused`, in iptables' own sense: this rule would not be loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from gatepost.firewall.catalogue import ICMP6_TYPES, ICMP_TYPES, NO_RETURN_PATH, listed, over_connections, over_limit, within_limit
from gatepost.firewall.formula import (
    FLAG_BITS,
    ICMP,
    ICMP6,
    PORT_PROTOCOLS,
    PROTOCOLS,
    STATES,
    TCP,
    TRUE,
    Field,
    Formula,
    Name,
    Not,
    Range,
    Unknown,
    both,
    either,
    equal,
    flags,
    icmp_type,
    network,
    state,
)
from gatepost.firewall.words import WELL_KNOWN


class Refused(Exception):  # noqa: N818 - iptables' word for it
    """iptables would not load this rule; the message says why."""


@dataclass(slots=True)
class Words:
    """What is known of a rule while its options are read. `version` is 4 or 6; `options` keeps what several options say together."""

    version: int
    proto: int | None = None
    modules: tuple[str, ...] = ()
    options: dict[str, list[str]] | None = None
    translated: bool = False


Match = Callable[[Words, list[str]], Formula]

_PORTS = {name: number for (_, number), name in WELL_KNOWN.items()} | {"domain": 53, "www": 80, "imap2": 143, "pop-3": 110}
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


def _network(which: Field) -> Match:
    def read(words: Words, values: list[str]) -> Formula:
        return either(_one_network(words, which, text) for text in values[0].split(","))

    return read


def _one_network(words: Words, which: Field, text: str) -> Formula:
    if text in {"0/0", "any/0"}:
        return TRUE
    try:
        found = network(which, text)
    except ValueError:
        return Unknown(f"{which} {text}")
    if (":" in text) != (words.version == 6):  # noqa: PLR2004 - IP version 6
        raise Refused(f"{text} is an address of the other IP version")
    return found


def _range(which: Field) -> Match:
    def read(_words: Words, values: list[str]) -> Formula:
        low, _, high = values[0].partition("-")
        return Range(which, int(ip_address(low)), int(ip_address(high or low)))

    return read


def _interface(which: Field) -> Match:
    def read(_words: Words, values: list[str]) -> Formula:
        name = values[0]
        if name == "+":
            return TRUE
        return Name(which, name[:-1] + "*" if name.endswith("+") else name)

    return read


def _protocol(words: Words, values: list[str]) -> Formula:
    name = values[0].lower()
    if name in {"all", "0"}:
        return TRUE
    number = int(name) if name.isdigit() else PROTOCOLS.get(name)
    if number is None:
        raise Refused(f'unknown protocol "{name}"')
    words.proto = number
    return equal(Field.PROTO, number)


def port_number(text: str) -> int | None:
    """A port by number or by a well-known name."""
    return int(text) if text.isdigit() else _PORTS.get(text)


def _one_port(which: Field, text: str) -> Formula:
    low, colon, high = text.partition(":")
    first, last = port_number(low or "0"), port_number((high or "65535") if colon else low)
    if first is None or last is None:
        return Unknown(f"{which} {text}")
    return Range(which, first, last)


def _port(*fields: Field) -> Match:
    def read(words: Words, values: list[str]) -> Formula:
        if words.proto not in PORT_PROTOCOLS:
            raise Refused("ports need a protocol that has them: -p tcp or -p udp is missing before them")
        return either(_one_port(which, text) for which in fields for text in values[0].split(","))

    return read


def _states(_words: Words, values: list[str]) -> Formula:
    return either(_one_state(name.lower()) for name in values[0].split(","))


def _one_state(name: str) -> Formula:
    if name in STATES:
        return state(name)
    if name == "dnat":
        return equal(Field.TRANSLATED, 1)
    return Unknown(f"state {name}")


def _flag_bits(text: str) -> int:
    if text.upper() in {"ALL", "NONE"}:
        return 63 if text.upper() == "ALL" else 0
    try:
        return sum(FLAG_BITS[name.lower()] for name in text.split(","))
    except KeyError:
        raise Refused(f'unknown TCP flag in "{text}"') from None


def _tcp_flags(words: Words, values: list[str]) -> Formula:
    if words.proto != TCP:
        raise Refused("--tcp-flags needs -p tcp before it")
    return flags(_flag_bits(values[0]), _flag_bits(values[1]))


def _syn(words: Words, _values: list[str]) -> Formula:
    if words.proto != TCP:
        raise Refused("--syn needs -p tcp before it")
    return flags(_flag_bits("FIN,SYN,RST,ACK"), _flag_bits("SYN"))


def _icmp(words: Words, values: list[str]) -> Formula:
    name, _, code = values[0].partition("/")
    names, number = (ICMP_TYPES, ICMP) if words.version == 4 else (ICMP6_TYPES, ICMP6)  # noqa: PLR2004 - IP version 4
    if name in {"any", "255"}:
        return equal(Field.PROTO, number)
    value = int(name) if name.isdigit() else (names | _ICMP_WORDS).get(name)
    if value is None:
        detail = _ICMP_CODES.get(name)
        return both(icmp_type(4, detail[0]), equal(Field.SPORT, detail[1])) if detail else Unknown(f"icmp type {name}")
    return both(icmp_type(words.version, value), equal(Field.SPORT, int(code)) if code.isdigit() else TRUE)


_ICMP_WORDS = {
    "ping": 8,
    "pong": 0,
    "ttl-exceeded": 11,
    "neighbour-solicitation": 135,
    "neighbor-solicitation": 135,
    "neighbour-advertisement": 136,
    "neighbor-advertisement": 136,
    "router-solicitation": 133,
    "router-advertisement": 134,
}
_ICMP_CODES = {
    "network-unreachable": (3, 0),
    "host-unreachable": (3, 1),
    "protocol-unreachable": (3, 2),
    "port-unreachable": (3, 3),
    "fragmentation-needed": (3, 4),
    "communication-prohibited": (3, 13),
    "ttl-zero-during-transit": (11, 0),
    "ttl-zero-during-reassembly": (11, 1),
}


def _rate(text: str) -> tuple[int, str]:
    count, _, per = text.partition("/")
    return int(count), _UNITS.get(per[:1], "second")


def _remember(name: str) -> Match:
    """An option that only says something together with others."""

    def read(words: Words, values: list[str]) -> Formula:
        assert words.options is not None
        words.options[name] = values
        return TRUE

    return read


def together(words: Words, label: str) -> Formula:
    """What the options of limits mean, once all of them are read."""
    found = words.options or {}
    parts: list[Formula] = []
    burst = int(found.get("burst", ["5"])[0])
    if "limit" in found:
        parts.append(within_limit(*_rate(found["limit"][0]), burst))
    if "above" in found or "upto" in found:
        name = found.get("name", ["hashlimit"])[0]
        over = over_limit(name, *_rate(found.get("above", found.get("upto", [""]))[0]), burst)
        parts.append(over if "above" in found else Unknown(f"not {over.text}"))
    if "connlimit" in found:
        parts.append(over_connections(label or "connlimit", int(found["connlimit"][0])))
    return both(*parts)


def _ignore(_words: Words, _values: list[str]) -> Formula:
    return TRUE


def _original(which: Field) -> Match:
    """The port before translation is the port, where nothing is translated."""

    def read(words: Words, values: list[str]) -> Formula:
        if words.translated:
            return Unknown(f"original {which} {values[0]}")
        return both(either(equal(Field.PROTO, number) for number in PORT_PROTOCOLS), _one_port(which, values[0]))

    return read


OPTIONS: dict[str, tuple[int, Match]] = {
    "--ctorigdstport": (1, _original(Field.DPORT)),
    "--ctorigsrcport": (1, _original(Field.SPORT)),
    "--ctproto": (1, lambda words, values: _protocol(Words(words.version), values)),
    "--ctstatus": (1, lambda _, values: equal(Field.TRANSLATED, 1) if values == ["DNAT"] else Unknown(f"ctstatus {values[0]}")),
    "--helper": (1, lambda _, values: Name(Field.HELPER, values[0].strip('"'))),
    "--icmp-type": (1, _icmp),
    "--icmpv6-type": (1, _icmp),
    "--src-range": (1, _range(Field.SRC)),
    "--dst-range": (1, _range(Field.DST)),
    "--tcp-flags": (2, _tcp_flags),
    "--syn": (0, _syn),
    "--comment": (1, _ignore),
    "--limit": (1, _remember("limit")),
    "--limit-burst": (1, _remember("burst")),
    "--hashlimit-above": (1, _remember("above")),
    "--hashlimit-upto": (1, _remember("upto")),
    "--hashlimit-burst": (1, _remember("burst")),
    "--hashlimit-name": (1, _remember("name")),
    "--hashlimit-mode": (1, _remember("mode")),
    "--hashlimit-htable-expire": (1, _ignore),
    "--hashlimit-srcmask": (1, _ignore),
    "--connlimit-above": (1, _remember("connlimit")),
    "--connlimit-mask": (1, _remember("mask")),
    "--connlimit-saddr": (0, _ignore),
    "--match-set": (2, lambda _, values: listed(f"{values[0]} ({values[1]})")),
    "--invert": (0, lambda words, _: NO_RETURN_PATH if words.modules[-1:] == ("rpfilter",) else Unknown("--invert")),
    "--fragment": (0, lambda _w, _v: equal(Field.FRAGMENT, 1)),
}
_ALIASES: dict[str, tuple[tuple[str, ...], tuple[int, Match]]] = {
    "source": (("-s", "--source", "--src"), (1, _network(Field.SRC))),
    "destination": (("-d", "--destination", "--dst"), (1, _network(Field.DST))),
    "in": (("-i", "--in-interface"), (1, _interface(Field.IIF))),
    "out": (("-o", "--out-interface"), (1, _interface(Field.OIF))),
    "protocol": (("-p", "--protocol", "--proto"), (1, _protocol)),
    "dport": (("--dport", "--destination-port", "--dports", "--destination-ports"), (1, _port(Field.DPORT))),
    "sport": (("--sport", "--source-port", "--sports", "--source-ports"), (1, _port(Field.SPORT))),
    "ports": (("--ports", "--port"), (1, _port(Field.SPORT, Field.DPORT))),
    "state": (("--state", "--ctstate"), (1, _states)),
    "fragment": (("-f",), (0, lambda _w, _v: equal(Field.FRAGMENT, 1))),
}
for _names, _entry in _ALIASES.values():
    OPTIONS |= dict.fromkeys(_names, _entry)

PLAIN_MODULES = frozenset(
    [
        "tcp",
        "udp",
        "udplite",
        "sctp",
        "dccp",
        "icmp",
        "icmp6",
        "state",
        "conntrack",
        "comment",
        "limit",
        "multiport",
        "hashlimit",
        "connlimit",
    ]
)
"""Modules that ask nothing by being named."""
MODULES: dict[str, Formula] = {"frag": equal(Field.FRAGMENT, 1), "rpfilter": Not(NO_RETURN_PATH)}
"""Modules that ask something without any option."""
ENDS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "TARPIT": "drop", "RETURN": "return", "STEAL": "drop"}
NATS = {"DNAT": "dnat", "SNAT": "snat", "MASQUERADE": "masquerade", "REDIRECT": "redirect", "NETMAP": "dnat"}
OUTSIDE = ("QUEUE", "NFQUEUE", "TPROXY", "SYNPROXY")
SILENT = [
    "LOG",
    "NFLOG",
    "ULOG",
    "MARK",
    "CONNMARK",
    "TCPMSS",
    "CHECKSUM",
    "TOS",
    "DSCP",
    "TTL",
    "HL",
    "CLASSIFY",
    "SET",
    "TEE",
    "AUDIT",
    "TRACE",
    "SECMARK",
    "CONNSECMARK",
    "CT",
    "NOTRACK",
    "IDLETIMER",
    "ECN",
]
