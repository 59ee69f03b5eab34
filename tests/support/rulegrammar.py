"""Random nftables rule sets from a grammar, and random packets that are likely to meet their edges."""

from __future__ import annotations

import random
from ipaddress import ip_address

from gatepost.firewall.formula import Packet
from tests.support.netlab import kernel_state, route

NETS4 = ["10.1.0.0/16", "10.2.4.0/22", "10.2.0.7", "10.0.3.0/24", "192.0.2.0/25", "10.1.0.5", "10.1.0.4-10.1.0.6", "10.0.0.0/15"]
NETS6 = ["fd00:1::/64", "fd00:2::4/126", "fd00:2::7", "fd00::/32", "2001:db8::/48", "fd00:1::5", "fd00:1::4-fd00:1::6"]
HOSTS4 = [
    "10.1.0.5",
    "10.1.0.6",
    "10.1.0.7",
    "10.2.0.7",
    "10.2.5.1",
    "10.0.3.9",
    "192.0.2.5",
    "192.0.2.200",
    "8.8.8.8",
    "10.0.0.1",
    "10.1.0.1",
]
HOSTS6 = ["fd00:1::5", "fd00:1::6", "fd00:2::7", "fd00:2::6", "fd00:0::9", "2001:db8::5", "2001:db9::1", "fd00:1::1"]
PORTS = ["53", "80", "79-81", "1024-65535", "22", "0-1023", "81"]
NUMBERS = [22, 53, 54, 78, 79, 80, 81, 82, 1023, 1024, 40000, 65535]
FLAGS = ["syn", "fin,syn,rst,ack", "syn,ack", "fin", "rst"]


class Grammar:
    """One stream of random choices: the same seed gives the same rule sets and packets."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tunnels: set[frozenset[int]] = set()

    def pick(self, values):
        return self.random.choice(values)

    def some(self, values, most=3):
        return ", ".join(self.random.sample(values, self.random.randint(1, min(most, len(values)))))

    def disjoint(self, values):
        """One or two that do not overlap, for sets of intervals."""
        return self.pick(values)

    def op(self):
        return self.pick(["", "", "", "!= "])

    def matches(self, family, count):
        """Matches that nft accepts beside each other: one IP version, one transport protocol."""
        version = self.pick({"inet": ["4", "6"], "ip": ["4"], "ip6": ["6"]}[family])
        kinds = [
            ["iif"],
            ["state"],
            ["mark"],
            [f"s{version}"],
            [f"d{version}"],
            ["tport", "uport", "flags", "thport", "proto", f"c{version}", f"i{version}"],
        ]
        kinds += [["fam"]] if family == "inet" and count == 1 else []
        weights = [2, 2, 1, 2, 2, 5] + [1] * (len(kinds) - 6)
        chosen = dict.fromkeys(self.random.choices(range(len(kinds)), weights, k=count))
        return " ".join(getattr(self, f"_{self.pick(kinds[index])}")() for index in chosen)

    def _iif(self):
        return f"iifname {self.op()}" + self.pick(['"eth1"', '{ "eth0", "eth2" }', '"eth*"', '"eth0"'])

    def _proto(self):
        return f"meta l4proto {self.op()}" + self.pick(["tcp", "udp", "{ tcp, udp }", "gre", "{ icmp, ipv6-icmp }"])

    def _tport(self):
        return f"tcp {self.pick(['dport', 'sport'])} {self.op()}{self.pick(PORTS)}"

    def _uport(self):
        return f"udp {self.pick(['dport', 'sport'])} " + self.pick(["{ 53, 80-82 }", "< 80", ">= 1024", "!= { 53, 1024-2000 }", "53"])

    def _thport(self):
        return "meta l4proto { tcp, udp } th dport " + self.op() + self.pick(PORTS)

    def _state(self):
        return "ct state " + self.pick(["new", "invalid", "established", "!= new", "{ new, related }", "new,established"])

    def _flags(self):
        mask = self.pick(["fin|syn", "syn|ack", "fin|syn|rst|psh|ack|urg", "rst"])
        return self.pick(
            [
                f"tcp flags & ({mask}) == {self.pick(mask.split('|'))}",
                f"tcp flags & ({mask}) != 0",
                f"tcp flags {self.pick(FLAGS)}",
                f"tcp flags & ({mask}) == 0",
                "tcp flags == syn",
                "tcp flags != { syn, ack, rst }",
            ]
        )

    def _mark(self):
        return self.pick(["meta length > 0", "counter", "ct status != dnat", "ct status dnat"])

    def _s4(self):
        return f"ip saddr {self.op()}" + self.pick([self.pick(NETS4), "{ 10.1.0.0/16, 192.0.2.5 }"])

    def _d4(self):
        return f"ip daddr {self.op()}" + self.pick([self.pick(NETS4), "{ 10.2.0.7, 10.1.0.5-10.1.0.6 }", "@n4"])

    def _s6(self):
        return f"ip6 saddr {self.op()}" + self.pick(NETS6)

    def _d6(self):
        return f"ip6 daddr {self.op()}" + self.pick([self.pick(NETS6), "{ fd00:2::7, fd00:1::/64 }"])

    def _c4(self):
        return self.pick(
            [
                "ip daddr . meta l4proto . th dport @c4",
                "ip saddr . ip daddr { 10.1.0.0/16 . 10.2.0.7, 8.8.8.8 . 10.1.0.5 }",
                'iifname . ip saddr != { "eth1" . 10.1.0.5 }',
            ]
        )

    def _c6(self):
        return "ip6 daddr . tcp dport { fd00:2::7 . 80, fd00:1::5 . 1024-65535 }"

    def _i4(self):
        return self.pick(
            ["icmp type echo-request", "icmp type != echo-request", "ip protocol icmp", "icmp type { echo-reply, echo-request }"]
        )

    def _i6(self):
        return self.pick(["icmpv6 type echo-request", "ip6 nexthdr udp"])

    def _fam(self):
        return "meta nfproto " + self.op() + self.pick(["ipv4", "ipv6"])

    def rule(self, family, targets, hook):
        if self.random.random() < 0.12:
            return self.vmap(targets)
        matches = self.matches(family, self.random.choice([0, 1, 1, 2, 2, 3]))
        if hook == "forward" and self.random.random() < 0.3:
            matches = f'oifname {self.op()}"{self.pick(["eth1", "eth2", "eth0"])}" {matches}'
        ends = ["accept", "drop", "accept", "drop", "counter", "return"] + [
            f"{verb} {target}" for target in targets for verb in ("jump", "goto")
        ]
        return f"{matches} {self.pick(ends)}".strip()

    def vmap(self, targets):
        ends = ["accept", "drop", *(f"jump {target}" for target in targets)]
        kinds = [
            f"ct state vmap {{ established : accept, invalid : {self.pick(ends)}, new : {self.pick(ends)} }}",
            f'iifname vmap {{ "eth0" : {self.pick(ends)}, "eth1" : {self.pick(ends)} }}',
            f"tcp dport vmap {{ 80 : {self.pick(ends)}, 1024-65535 : {self.pick(ends)} }}",
            f"meta l4proto vmap {{ udp : {self.pick(ends)}, tcp : {self.pick(ends)} }}",
        ]
        return self.pick(kinds)

    def table(self, family, name):
        sub = ["sub1", "sub2"]
        lines = [f"table {family} {name} {{"]
        if family != "ip6":
            lines.append(
                f" set n4 {{\n type ipv4_addr\n flags interval\n elements = {{ {self.pick(['10.1.0.0/16, 192.0.2.0/25', '10.2.0.7, 10.1.0.5-10.1.0.6'])} }}\n }}"
            )
            lines.append(
                " set c4 {\n type ipv4_addr . inet_proto . inet_service\n flags interval\n elements = { 10.2.0.7 . tcp . 79-81, 10.1.0.0/16 . udp . 53 }\n }"
            )
        lines += [" chain sub2 {", *(f"  {self.rule(family, [], '')}" for _ in range(3)), " }"]
        lines += [" chain sub1 {", *(f"  {self.rule(family, ['sub2'], '')}" for _ in range(3)), " }"]
        hooks = [
            ("prerouting", self.pick(["mangle", "mangle", "raw"])),
            ("forward", "filter"),
            ("input", "filter"),
            ("forward", "10"),
            ("postrouting", "50"),
        ]
        for index, (hook, priority) in enumerate(hooks):
            if index in {0, 3, 4} and self.random.random() < 0.6:
                continue
            policy = self.pick(["accept", "drop"]) if index in {1, 2} else "accept"
            count = self.random.randint(2, 6) if index in {1, 2} else 2
            lines += [f" chain b{index} {{", f"  type filter hook {hook} priority {priority}; policy {policy};"]
            lines += [*(f"  {self.rule(family, sub, hook)}" for _ in range(count)), " }"]
        if self.random.random() < 0.6:
            lines += [" chain nat0 {", "  type nat hook prerouting priority dstnat; policy accept;", *self.nats(family), " }"]
        return "\n".join([*lines, "}"])

    def nats(self, family):
        word = {"inet": " ip", "ip": "", "ip6": ""}[family]
        rules = []
        if family != "ip6":
            rules.append(f"  ip daddr 192.0.2.5 tcp dport {self.pick(['80', '22-81'])} dnat{word} to 10.2.0.7{self.pick(['', ':80'])}")
            rules.append(f"  {self._s4()} udp dport 53 dnat{word} to 10.1.0.5")
        if family != "ip":
            rules.append(f"  ip6 daddr 2001:db8::5 tcp dport 80 dnat{' ip6' if family == 'inet' else ''} to fd00:2::7")
        return rules

    def ruleset(self):
        return (
            "\n".join(
                self.table(family, f"t{index}")
                for index, family in enumerate(self.pick([["inet"], ["inet"], ["inet", "ip"], ["ip", "ip6"], ["inet", "ip6"]]))
            )
            + "\n"
        )

    def packet(self, number):
        """A packet as the bench can send it; ports that are not asked for are unique, so that no two packets share a connection."""
        family = self.pick([4, 6])
        proto = self.pick([6, 6, 6, 17, 17, 1 if family == 4 else 58, 47])
        side, hosts = self.random.randrange(3), (HOSTS4 if family == 4 else HOSTS6)
        src, dst = (int(ip_address(self.pick(hosts[:-2] if family == 4 else hosts[:-1]))) for _ in range(2))
        # A packet to its own source would be its own reply, and GRE knows no ports that keep two connections apart.
        dst = int(ip_address(self.pick([host for host in hosts if int(ip_address(host)) != src])))
        proto = 17 if proto == 47 and frozenset((src, dst)) in self.tunnels else proto
        if proto == 47:
            self.tunnels.add(frozenset((src, dst)))
        oif, local = route(dst, family)
        sport = self.pick(NUMBERS) if self.random.random() < 0.2 else 2000 + number % 60000
        dport = self.pick(NUMBERS) if proto in {6, 17} else (8 if family == 4 else 128) if proto in {1, 58} else 0
        flags = self.pick([2, 2, 2, 16, 18, 4, 1, 0, 3, 41, 24, 17]) if proto == 6 else 0
        packet = Packet(
            iif=f"eth{side}",
            oif="" if local else oif,
            family=family,
            proto=proto,
            src=src,
            dst=dst,
            flags=flags,
            dport=dport,
            sport=sport if proto in {6, 17} else 0,
        )
        return Packet(**{name: getattr(packet, name) for name in packet.__slots__} | {"state": kernel_state(packet)}), local
