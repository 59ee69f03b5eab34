"""What a rule set really does, for somebody who has never seen one: one sentence first, then who may reach what, then what is wrong.

What it does: joins what was refused on loading, what passes and what is wrong into one account, for any form of rule set.
Not its job: the sentences (`sentences`) and the defects (`findings`).
Raises: `ReadError` from the readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network

from gatepost.firewall.catalogue import IPNetwork, subtract
from gatepost.firewall.declare import Policy
from gatepost.firewall.findings import Finding, findings, outside
from gatepost.firewall.formula import And, Field, Name, Range, leaves
from gatepost.firewall.harden import is_switch
from gatepost.firewall.intent import impossible_outside
from gatepost.firewall.iptables_script import Line, Script, read_script
from gatepost.firewall.reading import kind_of, merged, read_ruleset
from gatepost.firewall.ruleset import Ruleset
from gatepost.firewall.sentences import Known, View, sentences
from gatepost.firewall.words import listing

_TITLES = {"forward": "Through the firewall, new connections", "input": "To the firewall itself", "output": "From the firewall itself"}


@dataclass(slots=True)
class Account:
    """Everything that can be told about a rule set. `passes` is by IP version and path."""

    headline: str = ""
    refused: list[Line] = field(default_factory=list)
    unjudged: list[Line] = field(default_factory=list)
    passes: dict[tuple[int, str], list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    loaded: int = 0


def explain(text: str, policy: Policy | None = None) -> Account:
    """Explain a rule set in any form that can be read without a kernel; with a policy, zones and hosts are called by name."""
    account = Account()
    if kind_of(text) == "script":
        script = read_script(text)
        account.refused, account.unjudged, account.loaded = script.refused, script.unjudged, script.loaded
        account.findings += _around(script)
        ruleset = merged(script.rules4, script.rules6)
        versions: tuple[int, ...] = (4, 6)
    else:
        ruleset = read_ruleset(text)
        account.loaded = sum(1 for _ in ruleset.rules())
        versions = tuple(version for version in (4, 6) if _speaks_of(ruleset, version))
        if versions != (4, 6) and kind_of(text) == "iptables-save":
            account.notes.append(
                f"This file is about IPv{versions[0]} only; what happens to IPv{10 - versions[0]} stands elsewhere, or nowhere."
            )
    explain_ruleset(ruleset, versions, account, policy)
    return account


def explain_ruleset(ruleset: Ruleset, versions: Iterable[int], account: Account, policy: Policy | None = None) -> None:
    """Add to an account what a rule set passes and what is wrong with it."""
    zones = zone_names(policy)
    views = {version: View(ruleset, version, known=known_addresses(policy)) for version in versions}
    for version, view in views.items():
        view.admitted = frozenset(policy.settings.admit_sources) if policy else frozenset()
        for path in _TITLES:
            account.passes[(version, path)] = list(sentences(view, path, view.new(path), zones))
        if any(_has_rules(ruleset, version)):
            account.findings += [new for new in findings(view) if new not in account.findings]
        elif version == 6:  # noqa: PLR2004 - IP version 6
            account.findings.append(Finding("ipv6", "IPv6 is forgotten: no rule speaks of it, so over IPv6 everything passes."))
    if policy:
        account.findings += list(_swapped(ruleset, policy))
    account.notes += [f"{note}" for note in ruleset.notes] + [f"A certificate would be refused: {refusal}." for refusal in ruleset.refusals]
    account.headline = _headline(views)


def zone_names(policy: Policy | None) -> dict[str, str]:
    """The zone of each interface."""
    return {name: zone for zone, found in policy.zones.items() for name in found.interfaces} if policy else {}


def known_addresses(policy: Policy | None) -> Known:
    """The address sets that the site has names for: hosts, zones, and what honestly comes from a zone."""
    known: dict[tuple[int, tuple[tuple[int, int], ...]], str] = {}
    if policy is None:
        return known
    for name, end in policy.hosts:
        for net in end.networks or ():
            known[(net.version, (_span(net),))] = name
    for item in policy.allowed:
        for net in item.public:
            known[(net.version, (_span(net),))] = f"{item.destination.name} (as {net.network_address})"
    for name, zone in policy.zones.items():
        for version in (4, 6):
            nets = [ip_network(text) for text in zone.prefixes if ip_network(text).version == version]
            own = [net for net in policy.own if net.version == version]
            for found in (nets, subtract(nets, own)) if nets else (_everywhere(policy, version, own), _everywhere(policy, version, [])):
                known[(version, _merged(found))] = name if zone.external else f"all of {name}"
    return known


def _everywhere(policy: Policy, version: int, own: list[IPNetwork]) -> list[IPNetwork]:
    """What honestly comes from outside."""
    whole = ip_network("0.0.0.0/0" if version == 4 else "::/0")  # noqa: PLR2004 - IP version 4
    return subtract([whole], impossible_outside(policy, version) + own)


def _span(net: IPNetwork) -> tuple[int, int]:
    return int(net.network_address), int(net.broadcast_address)


def _merged(nets: list[IPNetwork]) -> tuple[tuple[int, int], ...]:
    """Networks as ranges, neighbours joined."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(map(_span, nets)):
        if found and found[-1][1] + 1 == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple(found)


def _speaks_of(ruleset: Ruleset, version: int) -> bool:
    families = {"inet", "ip" if version == 4 else "ip6"}  # noqa: PLR2004 - IP version 4
    return any(chain.family in families for chain in ruleset.chains.values())


def _has_rules(ruleset: Ruleset, version: int) -> Iterator[bool]:
    families = {"inet", "ip" if version == 4 else "ip6"}  # noqa: PLR2004 - IP version 4
    return (bool(chain.rules) or chain.policy != "accept" for chain in ruleset.chains.values() if chain.family in families)


def _headline(views: dict[int, View]) -> str:
    """One sentence on what the rules really do."""
    told = []
    for version, view in views.items():
        everything = {path for path in ("forward", "input") if view.ruleset.base(path) and view.new(path) == view.everything(path)}
        nothing = {path for path in ("forward", "input") if view.new(path) == view.space.none}
        told.append((version, _one(view, everything, nothing)))
    if len({text for _, text in told}) == 1:
        return told[0][1]
    return " ".join(f"IPv{version}: {text}" for version, text in told)


def _one(view: View, everything: set[str], nothing: set[str]) -> str:
    bare = not any(view.ruleset.base("forward")) and not any(view.ruleset.base("input"))
    if bare or everything == {"forward", "input"}:
        return "This is no firewall: everything passes, through it and to it."
    if nothing == {"forward", "input"}:
        return "Nothing can begin a connection, in any direction: safe, and useless."
    if "input" in everything and view.falls_through("forward"):
        return "This is no firewall: everything reaches the host itself, and everything but a few refused packets passes through it."
    name = outside(view)
    opened = _from(view, name) if name else ()
    if name and not opened:
        reach = f"From {name} (the outside) nothing can begin a connection; "
    elif name:
        reach = f"From {name} (the outside) connections can begin {listing(opened)}; "
    else:
        reach = ""
    through = (
        "everything passes through it"
        if "forward" in everything
        else "nothing passes through it"
        if "forward" in nothing
        else _mostly(view, "forward")
    )
    to_it = (
        "everything reaches it"
        if "input" in everything
        else "nothing reaches the host itself"
        if "input" in nothing
        else _mostly(view, "input")
    )
    text = f"{reach}{through}, and {to_it}."
    return text[0].upper() + text[1:]


def _from(view: View, name: str) -> tuple[str, ...]:
    come = view.space.of(Name(Field.IIF, name))
    words = {"forward": "through it", "input": "to it"}
    return tuple(word for path, word in words.items() if view.new(path) & come != view.space.none)


def _mostly(view: View, path: str) -> str:
    """Whether a path is closed but for something, or open but for something."""
    word = "through it" if path == "forward" else "to it"
    return f"everything passes {word} but what the rules refuse" if view.falls_through(path) else f"only what stands below passes {word}"


def _around(script: Script) -> Iterator[Finding]:
    """What the shell around the rules does wrong."""
    for number, name, value in script.switches:
        if not is_switch(name):
            yield Finding("switch", f"There is no kernel switch {name}, so this line sets nothing.", (number,))
        elif name.endswith("ip_forward") and value == "1":
            yield Finding("forwarding", "Forwarding is switched on whether or not the rules have loaded.", (number,))
    if script.refused and script.loaded:
        text = "The script goes on after a refused line, so part of it runs and part does not; rules should be loaded all or none."
        yield Finding("piecemeal", text)


def _swapped(ruleset: Ruleset, policy: Policy) -> Iterator[Finding]:
    """Rules that expect a network behind another interface than the site declares."""
    homes = [(zone, pair) for zone in policy.zones.values() for pair in _spans(zone.prefixes)]
    wrong: dict[str, list[int]] = {}
    for rule in ruleset.rules():
        names = {leaf.pattern for leaf in leaves(rule.test) if isinstance(leaf, Name) and leaf.field is Field.IIF}
        if len(names) != 1:
            continue
        parts = rule.test.parts if isinstance(rule.test, And) else ()
        sources = [part for part in parts if isinstance(part, Range) and part.field is Field.SRC]
        for name in names:
            for leaf in sources:
                for zone, (low, high) in homes:
                    if (
                        low <= leaf.low
                        and leaf.high <= high
                        and name not in zone.interfaces
                        and any(name in z.interfaces for z in policy.zones.values())
                    ):
                        wrong.setdefault(name, []).append(rule.line)
    for name, lines in wrong.items():
        text = f"Rules for {name} name sources that the site has behind another interface: are two interfaces swapped?"
        yield Finding("swapped", text, tuple(dict.fromkeys(lines)))


def _spans(prefixes: Iterable[str]) -> list[tuple[int, int]]:
    return [_span(ip_network(text)) for text in prefixes]


def account_text(account: Account) -> str:
    """An account as people read it."""
    lines = [account.headline, ""]
    if account.refused:
        lines.append(f"{len(account.refused)} of {account.loaded + len(account.refused)} lines would be refused and do nothing:")
        for one in account.refused:
            lines += [f"  line {one.number}: {one.text}", f"      {one.why}"]
        lines.append("")
    lines += [f"line {one.number} was not judged ({one.why}): {one.text}" for one in account.unjudged]
    for path, title in _TITLES.items():
        lines += _path_lines(account, path, title)
    if account.findings:
        lines += ["", "What is wrong:"]
        lines += [f"  {number}. {finding}" for number, finding in enumerate(account.findings, 1)]
    lines += ["", *(f"note: {note}" for note in account.notes)] if account.notes else []
    return "\n".join(lines)


def _path_lines(account: Account, path: str, title: str) -> Iterator[str]:
    by_text: dict[tuple[str, ...], list[int]] = {}
    for (version, where), told in account.passes.items():
        if where == path:
            by_text.setdefault(tuple(told), []).append(version)
    for sentences_told, versions in by_text.items():
        family = " and ".join(f"IPv{version}" for version in versions)
        yield f"{title} ({family}):"
        yield from (f"  {sentence}" for sentence in sentences_told or ("nothing",))


def account_data(account: Account) -> dict[str, object]:
    """The same for programs."""
    return {
        "headline": account.headline,
        "loaded": account.loaded,
        "refused": [{"line": one.number, "text": one.text, "why": one.why} for one in account.refused],
        "unjudged": [{"line": one.number, "text": one.text, "why": one.why} for one in account.unjudged],
        "passes": [{"version": version, "path": path, "sentences": told} for (version, path), told in account.passes.items()],
        "findings": [{"name": one.name, "text": one.text, "lines": list(one.lines)} for one in account.findings],
        "notes": account.notes,
    }
