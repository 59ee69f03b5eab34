"""One question: may this reach that, for this service? Answered from the rules that are loaded, with the reason from the policy.

What it does: resolves the words of a question, asks the rule set about all packets they mean, and says which rule and which flow decide.
Not its job: reading rule sets; answering without one.
Raises: `QuestionError` for words that mean nothing here.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

from gatepost.firewall.catalogue import SERVICES
from gatepost.firewall.declare import Allowed, End, Policy, Traffic
from gatepost.firewall.formula import ICMP, ICMP6, PROTOCOLS, TCP, UDP, Field, Formula, Not, Packet, both, either, equal, holds, network
from gatepost.firewall.intent import impossible_outside, interfaces, matching, traffic_formula
from gatepost.firewall.ruleset import Decision, Ruleset, follow
from gatepost.firewall.sentences import View
from gatepost.firewall.space import Set
from gatepost.firewall.telling import decided_by
from gatepost.firewall.words import few, listing, packet_text, service
from gatepost.site.network import FIREWALL, Service


class QuestionError(Exception):
    """The question names something that does not exist."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict ("yes", "no" or "partly"), the permission behind it, the deciding rule for one packet, and what else passes between the two."""

    question: str
    verdict: str
    flow: Allowed | None
    decision: Decision | None
    limits: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()


def ask(policy: Policy, ruleset: Ruleset, source: str, destination: str, wanted: str) -> Answer:
    """Whether `source` may begin connections to `destination` for `wanted` (a service by name, or tcp/445)."""
    come, go = _end(policy, source), _end(policy, destination)
    if come.zone == go.zone and come.zone == FIREWALL:
        raise QuestionError("the firewall always reaches itself")
    traffic = _traffic(wanted, dict(policy.services))
    question = f"{source} to {destination}, {wanted}"
    found = [
        (version, *_one(policy, ruleset, come, go, traffic, version)) for version in (4, 6) if _has(come, version) and _has(go, version)
    ]
    if not found:
        raise QuestionError(f"{source} and {destination} have no common IP version")
    verdicts = {verdict for _, verdict, _ in found if verdict}
    verdict = verdicts.pop() if len(verdicts) == 1 else "partly"
    packet = next((one for _, said, one in found if one and (said != "no" or verdict == "no")), None)
    families = tuple(f"IPv{version}: {said}" for version, said, _ in found if said) if verdict == "partly" else ()
    path = _path(come, go)
    decision = follow(ruleset, path, packet) if packet else None
    items = policy.pairs().get((come.zone, go.zone), [])
    flow = next((item for item in items if decision and holds(matching(policy, item), decision.packet)), None)
    # A packet that passes needs no undecided condition; one that does not may be held back by one.
    limits = tuple(sorted(packet.holds)) if packet and verdict != "no" else ()
    return Answer(
        question,
        verdict,
        flow if verdict != "no" else None,
        decision,
        limits,
        _others(policy, come, go),
        families,
        _offered(policy, come, go, traffic),
    )


def _path(come: End, go: End) -> str:
    return "input" if go.zone == FIREWALL else "output" if come.zone == FIREWALL else "forward"


def _has(end: End, version: int) -> bool:
    return end.networks is None or any(net.version == version for net in end.networks)


def _end(policy: Policy, word: str) -> End:
    """A zone, a host, the firewall, an address, or a public address of ours."""
    if word == FIREWALL or word in policy.zones:
        return End(word, word)
    for name, end in policy.hosts:
        if name == word:
            return end
    try:
        net = ip_network(ip_address(word))
    except ValueError:
        names = [*policy.zones, FIREWALL, *(name for name, _ in policy.hosts)]
        near = difflib.get_close_matches(word, names, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {few(names, 12)}"
        raise QuestionError(f"no zone, host or address is called {word}{hint}") from None
    for item in policy.allowed:
        if net in item.public:
            return End(word, item.destination.zone, (net,))
    if net in policy.own:
        return End(word, FIREWALL, (net,))
    for name, zone in policy.zones.items():
        if any(ip_address(word) in ip_network(text) for text in zone.prefixes):
            return End(word, name, (net,))
    return End(word, next((name for name, zone in policy.zones.items() if zone.external), ""), (net,))


def _traffic(word: str, services: dict[str, Service]) -> tuple[Traffic, ...]:
    """`smtp`, `tcp/445`, `udp/8000-8010`, `ping`, `gre`."""
    name, _, numbers = word.lower().partition("/")
    if numbers and name in {"tcp", "udp"}:
        low, _, high = numbers.partition("-")
        if low.isdigit() and (high or low).isdigit():
            return (Traffic(word, PROTOCOLS[name], int(low), int(high or low)),)
    if found := services.get(word):
        pairs = [Traffic(word, proto, *pair) for proto, ranges in ((TCP, found.tcp), (UDP, found.udp)) for pair in ranges]
        pairs += [
            Traffic(word, proto, 8 if proto == ICMP else 128, 8 if proto == ICMP else 128, v)
            for v, proto in ((4, ICMP), (6, ICMP6))
            if found.icmp
        ]
        return (*pairs, *(Traffic(word, number) for number in found.protocols))
    if word in PROTOCOLS:
        return (Traffic(word, PROTOCOLS[word]),)
    near = difflib.get_close_matches(word, [*SERVICES, *services], 1)
    raise QuestionError(f"no service is called {word}" + (f"; did you mean {near[0]}?" if near else "; write it like tcp/445"))


def _one(policy: Policy, ruleset: Ruleset, come: End, go: End, traffic: tuple[Traffic, ...], version: int) -> tuple[str, Packet | None]:
    """The verdict in one IP version, and a packet that shows it; no verdict where the question has no packets."""
    view = View(ruleset, version)
    path = _path(come, go)
    asked = view.start(path) & view.opening() & view.space.of(_question(policy, come, go, traffic, version))
    # Whatever else is undecided, ask about a source that has done no wrong.
    passing = view.passes[path] & asked
    if asked == view.space.none:
        return "", None
    if passing == view.space.none:
        return "no", _plain(view, asked)
    may = view.space.without_unknown(passing, surely=False)
    lost = view.space.forget(asked, Field.SPORT, Field.FLAGS) & ~view.space.forget(may, Field.SPORT, Field.FLAGS)
    return ("yes" if lost == view.space.none else "partly"), _plain(view, passing)


def _plain(view: View, packets: Set) -> Packet | None:
    packet = view.space.pick(packets)
    return replace(packet, sport=40000) if packet and packet.proto in {TCP, UDP} and packet.sport == 0 else packet


def _question(policy: Policy, come: End, go: End, traffic: tuple[Traffic, ...], version: int) -> Formula:
    parts = [traffic_formula([item for item in traffic if item.version in {0, version}]), equal(Field.FRAGMENT, 0)]
    if come.zone != FIREWALL:
        parts += [interfaces(policy, come.zone, Field.IIF), _sources(policy, come, version)]
    if go.zone != FIREWALL:
        parts.append(interfaces(policy, go.zone, Field.OIF))
    if go.networks:
        parts.append(either(network(Field.DST, net) for net in go.networks))
    return both(*parts)


def _sources(policy: Policy, come: End, version: int) -> Formula:
    """The honest sources of an end: a question is never about forged packets."""
    nets = come.networks or tuple(ip_network(text) for text in policy.zones[come.zone].prefixes)
    honest = either(network(Field.SRC, net) for net in nets) if nets else _outside(policy, version)
    own = [net for net in policy.own if net.version == version]
    return both(honest, *(Not(network(Field.SRC, net)) for net in own)) if not come.networks else honest


def _outside(policy: Policy, version: int) -> Formula:
    return both(*(Not(network(Field.SRC, net)) for net in impossible_outside(policy, version)))


def _others(policy: Policy, come: End, go: End) -> tuple[str, ...]:
    """What else is declared between the two zones."""
    found = []
    for item in policy.pairs().get((come.zone, go.zone), []):
        names = dict.fromkeys(service(one.proto, one.low) if one.low == one.high else one.service for one in item.traffic)
        found.append(f"{item.source.name} to {item.destination.name}: {few(list(names))}")
    return tuple(dict.fromkeys(found))


def _offered(policy: Policy, come: End, go: End, traffic: tuple[Traffic, ...]) -> tuple[str, ...]:
    """Under which addresses, other than its own, a host offers what is asked to that side; people mean those when they say its name."""
    asked = {(one.proto, one.low) for one in traffic}
    found = [
        str(net.network_address)
        for item in policy.allowed
        if (item.destination.name, item.source.zone) == (go.name, come.zone) and asked & {(one.proto, one.low) for one in item.traffic}
        for net in item.public
        if net not in (go.networks or ())
    ]
    return tuple(dict.fromkeys(found))


_WORDS = {"yes": "YES", "no": "NO", "partly": "PARTLY"}


def answer_text(answer: Answer) -> str:
    """An answer as people read it."""
    lines = [f"{_WORDS[answer.verdict]}.  {answer.question}"]
    lines += [f"  {family}" for family in answer.families]
    if answer.offered and answer.verdict != "yes":
        lines.append(f"  Seen from there it has another address, {listing(answer.offered)}; ask about that one too.")
    if answer.flow:
        lines.append(f'  because of "{answer.flow.id}": {answer.flow.reason}')
        until = f", until {answer.flow.expires}" if answer.flow.expires else ""
        lines.append(f"  answered for by: {answer.flow.owner}{until}")
    elif answer.verdict == "no":
        lines.append("  because nothing like it is declared; what is not declared does not pass.")
    if answer.decision:
        lines.append(f"  example: {packet_text(replace(answer.decision.packet, holds=frozenset()))}")
        lines.append(f"  {decided_by(answer.decision)}")
    lines += [f"  but not when: {limit}" for limit in answer.limits]
    if answer.others:
        lines.append("  declared between these two zones:")
        lines += [f"    {other}" for other in answer.others]
    return "\n".join(lines)


def answer_data(answer: Answer) -> dict[str, object]:
    """The same for programs."""
    flow = answer.flow
    return {
        "question": answer.question,
        "verdict": answer.verdict,
        "flow": {"id": flow.id, "reason": flow.reason, "owner": flow.owner} if flow else None,
        "rule": decided_by(answer.decision) if answer.decision else None,
        "others": list(answer.others),
        "offered": list(answer.offered),
    }
