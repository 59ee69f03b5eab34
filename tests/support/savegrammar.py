"""Random iptables rule sets from a grammar, as text for iptables-restore; the packets are those of `rulegrammar`."""

from __future__ import annotations

from tests.support.rulegrammar import Grammar

NETS = {
    4: ["10.1.0.0/16", "10.2.4.0/22", "10.2.0.7", "10.0.3.0/24", "192.0.2.0/25", "10.1.0.5", "10.0.0.0/15"],
    6: ["fd00:1::/64", "fd00:2::4/126", "fd00:2::7", "fd00::/32", "2001:db8::/48", "fd00:1::5"],
}
RANGES = {4: ["10.1.0.4-10.1.0.6", "10.0.0.0-10.1.0.5"], 6: ["fd00:1::4-fd00:1::6", "fd00::-fd00:1::5"]}
MASKS = ["FIN,SYN", "SYN,ACK", "FIN,SYN,RST,PSH,ACK,URG", "RST"]


class SavedGrammar(Grammar):
    """One stream of random choices, for one IP version at a time."""

    def not_(self) -> str:
        return self.pick(["", "", "", "! "])

    def matches_of(self, version: int, hook: str) -> str:
        kinds = [self._side, self._address, self._span, self._state_of, self._transport, self._transport, self._transport]
        chosen = self.random.sample(kinds, self.random.choice([0, 1, 1, 2, 2, 3]))
        # One transport protocol a rule, as iptables wants it.
        parts = [one(version, hook) for one in dict.fromkeys(chosen)]
        return " ".join(part for part in parts if part)

    def _side(self, _version: int, hook: str) -> str:
        names = ["eth1", "eth0", "eth+", "eth2"]
        if hook == "FORWARD" and self.random.random() < 0.4:
            return f"{self.not_()}-o {self.pick(names)}"
        return f"{self.not_()}-i {self.pick(names)}"

    def _address(self, version: int, _hook: str) -> str:
        return f"{self.not_()}{self.pick(['-s', '-d'])} {self.pick(NETS[version])}"

    def _span(self, version: int, _hook: str) -> str:
        return f"-m iprange {self.not_()}{self.pick(['--src-range', '--dst-range'])} {self.pick(RANGES[version])}"

    def _state_of(self, _version: int, _hook: str) -> str:
        states = self.pick(["NEW", "INVALID", "ESTABLISHED", "RELATED,ESTABLISHED", "NEW,RELATED"])
        return f"-m conntrack {self.not_()}--ctstate {states}" if self.random.random() < 0.6 else f"-m state {self.not_()}--state {states}"

    def _transport(self, version: int, _hook: str) -> str:
        icmp = ("-p icmp -m icmp", "--icmp-type", "8") if version == 4 else ("-p ipv6-icmp -m icmp6", "--icmpv6-type", "128")
        proto = self.pick(["tcp", "udp"])
        which, port = self.pick(["--dport", "--sport"]), self.pick(["53", "80", "79:81", "1024:65535", ":1023", "22"])
        mask = self.pick(MASKS)
        return self.pick(
            [
                f"-p {proto} -m {proto} {self.not_()}{which} {port}",
                f"-p {proto} -m {proto} {self.not_()}{which} {port}",
                f"-p {proto} -m multiport {self.not_()}{self.pick(['--dports', '--sports', '--ports'])} 22,53,79:81",
                f"-p tcp -m tcp {self.not_()}--tcp-flags {mask} {self.pick([*mask.split(','), 'NONE'])}",
                f"-p tcp -m tcp {self.not_()}--syn",
                f"{icmp[0]} {self.not_()}{icmp[1]} {icmp[2]}",
                f"{self.not_()}-p {self.pick(['tcp', 'udp', '47'])}",
            ]
        )

    def saved_rule(self, version: int, chain: str, targets: list[str]) -> str:
        ends = [
            "-j ACCEPT",
            "-j DROP",
            "-j ACCEPT",
            "-j DROP",
            "-j RETURN",
            "",
            *(f"{verb} {one}" for one in targets for verb in ("-j", "-g")),
        ]
        return f"-A {chain} {self.matches_of(version, chain)} {self.pick(ends)}"

    def saved(self, version: int) -> str:
        """One rule set of this IP version."""
        lines = [
            "*filter",
            *(f":{name} {self.pick(['ACCEPT', 'DROP'])} [0:0]" for name in ("INPUT", "FORWARD")),
            ":one - [0:0]",
            ":two - [0:0]",
        ]
        for chain, targets, count in (("two", [], 3), ("one", ["two"], 3), ("INPUT", ["one", "two"], 4), ("FORWARD", ["one", "two"], 6)):
            lines += [self.saved_rule(version, chain, targets) for _ in range(count)]
        lines.append("COMMIT")
        if self.random.random() < 0.4:
            lines += ["*mangle", *(self.saved_rule(version, "PREROUTING", []) for _ in range(2)), "COMMIT"]
        if self.random.random() < 0.6:
            lines += ["*nat", *self.translations(version), "COMMIT"]
        return "\n".join(line.strip() for line in lines) + "\n"

    def translations(self, version: int) -> list[str]:
        if version == 6:
            return ["-A PREROUTING -d 2001:db8::5 -p tcp -m tcp --dport 80 -j DNAT --to-destination fd00:2::7"]
        target = self.pick(["10.2.0.7", "10.2.0.7:80"])
        return [
            f"-A PREROUTING -d 192.0.2.5 -p tcp -m tcp --dport {self.pick(['80', '22:81'])} -j DNAT --to-destination {target}",
            f"-A PREROUTING {self._address(4, '')} -p udp -m udp --dport 53 -j DNAT --to-destination 10.1.0.5",
        ]
