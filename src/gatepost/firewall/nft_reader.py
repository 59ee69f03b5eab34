"""Reads `nft -j list ruleset`: what a kernel really has loaded, every table of it.

What it does: turns the JSON of nftables 1.0 into a `Ruleset` of formulas. It shares no code with the compiler.
Not its job: running nft (`nft`), following packets (`ruleset`, `solve`).
Raises: `ReadError` for text that is not such a listing. What it does not understand inside a listing becomes an undecided condition, or,
where even that could hide an opening, a refusal to certify.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gatepost.firewall.catalogue import NO_RETURN_PATH, listed, over_connections, over_limit, within_limit
from gatepost.firewall.formula import TRUE, Formula, Not, Unknown, both, either
from gatepost.firewall.nft_fields import Key, key_of
from gatepost.firewall.ruleset import Chain, Hook, Rewrite, Rule, Ruleset, Verdict

Json = dict[str, Any]
Rows = list[tuple[Formula, Any]]
"""The elements of a set or map: what a key must be, and what stands for it."""

_ENDS = {"accept": Verdict.ACCEPT, "drop": Verdict.DROP, "return": Verdict.RETURN, "reject": Verdict.DROP, "continue": Verdict.CONTINUE}
_SILENT = {"counter", "log", "last"}
_NAT = {"dnat", "snat", "masquerade", "redirect"}
_IP_FAMILIES = {"ip", "ip6", "inet"}


class ReadError(Exception):
    """The text is not a listing that can be read."""


def read_nft(text: str) -> Ruleset:
    """The rule set in a listing made with `nft -j list ruleset`."""
    try:
        items = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError(f"this is not the output of nft -j list ruleset: {error}") from None
    try:
        return _Reader(items).ruleset
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ReadError(f"this listing has a form that is not known, so nothing can be said about it: {error!r}") from None


class _Reader:
    """One listing. Sets and maps come first, because rules refer to them."""

    def __init__(self, items: list[Json]) -> None:
        self.ruleset = Ruleset()
        self.tables: dict[tuple[str, str, str], Json] = {}
        self.rows: dict[tuple[int, str], Rows] = {}
        rules = []
        for item in items:
            kind, value = next(iter(item.items()))
            if kind in {"set", "map"}:
                self.tables[(value["family"], value["table"], value["name"])] = value
            elif kind == "rule":
                rules.append(value)
            else:
                self._object(kind, value)
        self.filled = set(_filled(rules))
        for rule in rules:
            self._rule(rule)

    def refuse(self, text: str) -> None:
        if text not in self.ruleset.refusals:
            self.ruleset.refusals.append(text)

    def _object(self, kind: str, value: Json) -> None:
        if kind == "chain":
            self._chain(value)
        elif kind == "flowtable":
            self.refuse(f"flowtable {value.get('name')}: packets of established connections would pass around the rules")
        elif kind == "table" and value["family"] not in _IP_FAMILIES | {"arp"}:
            self.refuse(f"table {value['family']} {value['name']}: only the families ip, ip6 and inet can be proved")

    def _chain(self, value: Json) -> None:
        if value["family"] not in _IP_FAMILIES:
            return
        chain = self.ruleset.add(Chain(value["table"], value["family"], value["name"]))
        if "hook" not in value:
            return
        if value["hook"] not in set(Hook):
            self.refuse(f"chain {value['name']} in table {value['table']} hooks {value['hook']}, which cannot be proved")
            return
        chain.hook, chain.kind = Hook(value["hook"]), value["type"]
        chain.priority, chain.policy = value["prio"], Verdict(value.get("policy", "accept"))
        if chain.kind == "route":
            chain.kind = "filter"

    def _rule(self, value: Json) -> None:
        if value["family"] not in _IP_FAMILIES:
            return
        chain = self.ruleset.chains[(value["family"], value["table"], value["chain"])]
        reading = _Statements(self, value)
        chain.rules += reading.rules()

    def elements(self, family: str, table: str, name: str, key: Key) -> Rows:
        """The rows of a named set or map, read once for each kind of key."""
        found = self.tables[(family, table, name)]
        place = (id(found), key.text)
        if place not in self.rows:
            self.rows[place] = key.rows(found.get("elem", []))
        return self.rows[place]

    def is_filled(self, family: str, table: str, name: str) -> bool:
        """True for a set that packets add to, or that forgets: its listing says nothing about a moment later."""
        found = self.tables[(family, table, name)]
        return (family, table, name) in self.filled or "timeout" in found or bool({"dynamic", "timeout"} & {*found.get("flags", [])})


def _filled(rules: list[Json]) -> Iterator[tuple[str, str, str]]:
    for rule in rules:
        for statement in rule["expr"]:
            for kind in ("set", "map"):
                if isinstance(statement.get(kind), dict):
                    yield rule["family"], rule["table"], str(statement[kind].get(kind, "")).lstrip("@")


class _Statements:
    """One rule: its matches in order, then what it does."""

    def __init__(self, reader: _Reader, value: Json) -> None:
        self.reader = reader
        self.value = value
        self.place = (value["family"], value["table"])
        self.tests: list[Formula] = []
        self.effects: list[str] = []
        self.text = value.get("comment") or f"{value['chain']} handle {value['handle']}"

    def rules(self) -> list[Rule]:
        """The rule; one for each element where a verdict map decides."""
        done: list[Rule] = []
        for statement in self.value["expr"]:
            kind, value = next(iter(statement.items()))
            done += self._statement(kind, value)
        if not done and self.effects:
            done.append(self._make(Verdict.CONTINUE))
        return done

    def _make(self, verdict: Verdict, extra: Formula = TRUE, **more: Any) -> Rule:
        label = self.value.get("comment", "")
        text = more.pop("text", self.text)
        test = both(*self.tests, extra)
        return Rule(test, verdict, effects=tuple(self.effects), label=label, text=text, line=self.value["handle"], **more)

    def _statement(self, kind: str, value: Any) -> list[Rule]:
        if kind in _ENDS:
            return [self._make(_ENDS[kind])] if kind != "continue" else []
        if kind in {"jump", "goto"}:
            return [self._make(Verdict(kind), target=value["target"])]
        if kind == "vmap":
            return list(self._vmap(value))
        if kind in _NAT:
            return [self._nat(kind, value)]
        if kind == "match":
            self.tests.append(self._match(value))
        else:
            self._other(kind, value)
        return []

    def _other(self, kind: str, value: Any) -> None:
        """Statements that limit, mark or hand on."""
        if kind == "set":
            self._update(value)
        elif kind == "limit":
            burst = value.get("burst", 5)
            limit = within_limit(value["rate"], value["per"], burst)
            self.tests.append(Not(limit) if value.get("inv") else limit)
        elif kind == "ct helper":
            self.effects.append(f"helper {value}")
        elif kind == "notrack":
            self.reader.refuse(f"{self.text}: notrack takes packets out of connection tracking")
        elif kind == "flow":
            self.reader.refuse(f"{self.text}: flow offload lets packets pass around the rules")
        elif kind in {"queue", "tproxy", "synproxy", "fwd", "dup", "xt"}:
            self.reader.refuse(f"{self.text}: '{kind}' is decided outside the rules")
        elif kind not in _SILENT:
            self.tests.append(Unknown(f"{kind} {json.dumps(value, sort_keys=True)}"))

    def _update(self, value: Json) -> None:
        """`update @set { key limit ... }`: the set grows, and the rule goes on only when its limit says so."""
        name = value["set"].lstrip("@")
        stmts = value.get("stmt", [])
        self.effects.append(f"{value['op']} {name}")
        for stmt in stmts:
            kind, limit = next(iter(stmt.items()))
            if kind == "limit":
                over = over_limit(name, limit["rate"], limit["per"], limit.get("burst", 5))
                self.tests.append(over if limit.get("inv") else Not(over))
            elif kind == "ct count":
                over = over_connections(name, limit["val"])
                self.tests.append(over if limit.get("inv") else Not(over))
            elif kind != "counter":
                self.tests.append(Unknown(f"{kind} {json.dumps(limit, sort_keys=True)}"))
        key = key_of(value["elem"].get("elem", {}).get("val", value["elem"]) if isinstance(value["elem"], dict) else value["elem"])
        self.tests.append(key.guard)

    def _vmap(self, value: Json) -> Iterator[Rule]:
        key = key_of(value["key"])
        data = value["data"]
        if isinstance(data, str):
            rows = self.reader.elements(*self.place, data.lstrip("@"), key)
            if self.reader.is_filled(*self.place, data.lstrip("@")):
                self.reader.refuse(f"{self.text}: the verdict map {data} changes while it runs")
        else:
            rows = key.rows(data["set"])
        for formula, verdict in rows:
            kind = next(iter(verdict))
            target = (verdict[kind] or {}).get("target", "")
            found = _ENDS.get(kind) or Verdict(kind)
            if found is not Verdict.CONTINUE:
                yield self._make(found, formula, target=target)

    def _match(self, value: Json) -> Formula:
        left, right, op = value["left"], value["right"], value["op"]
        if "fib" in left:
            return _fib(left["fib"], right, op)
        key = key_of(left)
        if isinstance(right, str) and right.startswith("@"):
            name = right[1:]
            if self.reader.is_filled(*self.place, name):
                formula: Formula = both(key.guard, listed(name))
            else:
                formula = either(test for test, _ in self.reader.elements(*self.place, name, key))
        elif isinstance(right, dict) and "set" in right:
            formula = either(test for test, _ in key.rows(right["set"]))
        else:
            formula = key.single(right, op)
            if op == "!":
                return formula
        return both(key.guard, Not(formula)) if op == "!=" else formula

    def _nat(self, kind: str, value: Json | None) -> Rule:
        value = value or {}
        address, port = value.get("addr"), value.get("port")
        for part in (address, port):
            if isinstance(part, dict) and not ({"range", "prefix"} & part.keys()):
                self.reader.refuse(f"{self.text}: a translation by map cannot be proved")
                return self._make(Verdict.TRANSLATE, rewrite=Rewrite(kind))
        version = value.get("family")
        rewrite = Rewrite(kind, *(key_of(None).numbers(part) for part in (address, port)))
        if not rewrite.exact and kind in {"dnat", "redirect"}:
            self.reader.refuse(f"{self.text}: a translation to several addresses or ports cannot be proved")
        guard = key_of({"payload": {"protocol": version, "field": "saddr"}}).guard if version else TRUE
        return self._make(Verdict.TRANSLATE, guard, rewrite=rewrite)


def _fib(value: Json, right: Any, op: str) -> Formula:
    """Only the check for a way back to the source is known by name."""
    if value.get("result") == "oif" and sorted(value.get("flags", [])) == ["iif", "saddr"] and right is False:
        return NO_RETURN_PATH if op == "==" else Not(NO_RETURN_PATH)
    text = Unknown(f"fib {json.dumps(value, sort_keys=True)} {json.dumps(right, sort_keys=True)}")
    return Not(text) if op == "!=" else text
