"""Changes to an nft listing, one at a time: what a slip of the hand or of a generator could make of a rule set."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

Listing = list[dict[str, Any]]


def mutants(text: str, seed: int, count: int) -> Iterator[tuple[str, str]]:
    """So many changed listings, each with a word on what was changed; never twice the same."""
    chance, seen = random.Random(seed), {text}
    items = json.loads(text)["nftables"]
    changes = [
        drop_rule,
        drop_match,
        change_value,
        change_policy,
        drop_element,
        add_element,
        flip_operator,
        flip_verdict,
        swap_rules,
        change_nat,
        change_hook,
    ]
    made = tried = 0
    while made < count and tried < 40 * count:
        tried += 1
        change = chance.choice(changes)
        copied = copy.deepcopy(items)
        what = change(copied, chance)
        dumped = json.dumps({"nftables": copied})
        if what and dumped not in seen:
            seen.add(dumped)
            made += 1
            yield f"{change.__name__}: {what}", dumped


def _rules(items: Listing) -> list[dict[str, Any]]:
    return [item["rule"] for item in items if "rule" in item]


def _label(rule: dict[str, Any]) -> str:
    return f"{rule['chain']}/{rule['handle']} {rule.get('comment', '')}"


def drop_rule(items: Listing, chance: random.Random) -> str:
    rule = chance.choice(_rules(items))
    items[:] = [item for item in items if item.get("rule") is not rule]
    return _label(rule)


def drop_match(items: Listing, chance: random.Random) -> str:
    rule = chance.choice(_rules(items))
    places = [index for index, part in enumerate(rule["expr"]) if "match" in part or "limit" in part]
    if not places:
        return ""
    del rule["expr"][chance.choice(places)]
    return _label(rule)


def _values(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place below `node` where a number, an address or a name of a flag stands."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for place, value in pairs:
        if isinstance(value, bool) or place in {
            "handle",
            "comment",
            "packets",
            "bytes",
            "family",
            "table",
            "chain",
            "op",
            "field",
            "protocol",
            "key",
        }:
            continue
        if isinstance(value, int) or (isinstance(value, str) and other(value, 1) != value):
            yield node, place
        yield from _values(value)


def other(value: Any, step: int) -> Any:
    """A neighbour of a value; the value itself where there is none."""
    if isinstance(value, int):
        return value + step
    parts = value.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        return ".".join([*parts[:3], str((int(parts[3]) + step) % 255)])
    names = {
        "syn": "fin",
        "fin": "rst",
        "ack": "urg",
        "tcp": "udp",
        "udp": "tcp",
        "established": "new",
        "invalid": "new",
        "eth0": "eth1",
        "eth1": "eth2",
        "eth2": "eth0",
    }
    return names.get(value, value)


def change_value(items: Listing, chance: random.Random) -> str:
    rule = chance.choice(_rules(items))
    places = list(_values([part for part in rule["expr"] if "log" not in part and "counter" not in part]))
    if not places:
        return ""
    node, place = chance.choice(places)
    node[place] = other(node[place], chance.choice([1, 1, 7]))
    return _label(rule)


def change_policy(items: Listing, chance: random.Random) -> str:
    chain = chance.choice([item["chain"] for item in items if "policy" in item.get("chain", {})])
    chain["policy"] = "accept" if chain["policy"] == "drop" else "drop"
    return str(chain["name"])


def change_hook(items: Listing, chance: random.Random) -> str:
    chain = chance.choice([item["chain"] for item in items if "hook" in item.get("chain", {})])
    chain["prio"] = chance.choice([-400, -150, -99, 0, 99, 200])
    return f"{chain['name']} priority {chain['prio']}"


def _sets(items: Listing) -> list[dict[str, Any]]:
    return [value for item in items for kind, value in item.items() if kind in {"set", "map"} and value.get("elem")]


def drop_element(items: Listing, chance: random.Random) -> str:
    found = chance.choice(_sets(items))
    found["elem"].pop(chance.randrange(len(found["elem"])))
    return str(found["name"])


def add_element(items: Listing, chance: random.Random) -> str:
    found = chance.choice(_sets(items))
    element = copy.deepcopy(chance.choice(found["elem"]))
    places = list(_values([element]))
    if not places:
        return ""
    node, place = chance.choice(places)
    node[place] = other(node[place], chance.choice([1, 2, 40]))
    found["elem"].append(element)
    return str(found["name"])


def flip_operator(items: Listing, chance: random.Random) -> str:
    rule = chance.choice(_rules(items))
    matches = [part["match"] for part in rule["expr"] if "match" in part and part["match"]["op"] in {"==", "!="}]
    if not matches:
        return ""
    match = chance.choice(matches)
    match["op"] = "!=" if match["op"] == "==" else "=="
    return _label(rule)


def flip_verdict(items: Listing, chance: random.Random) -> str:
    rule = chance.choice(_rules(items))
    last = rule["expr"][-1]
    if not ({"accept", "drop", "goto", "reject"} & last.keys()):
        return ""
    rule["expr"][-1] = {"drop": None} if "accept" in last else {"accept": None}
    return _label(rule)


def swap_rules(items: Listing, chance: random.Random) -> str:
    places = [index for index, item in enumerate(items) if "rule" in item]
    index = chance.choice(places[:-1])
    after = places[places.index(index) + 1]
    if items[index]["rule"]["chain"] != items[after]["rule"]["chain"]:
        return ""
    items[index], items[after] = items[after], items[index]
    return _label(items[after]["rule"])


def change_nat(items: Listing, chance: random.Random) -> str:
    found = [(rule, part) for rule in _rules(items) for part in rule["expr"] if {"dnat", "snat"} & part.keys()]
    if not found:
        return ""
    rule, part = chance.choice(found)
    kind = "dnat" if "dnat" in part else "snat"
    part[kind]["addr"] = other(part[kind]["addr"], chance.choice([1, 3]))
    return _label(rule)
