"""Reads a rule set in whatever form it comes: nft's JSON, iptables-save, or an iptables script.

Not its job: text for `nft -f`, which only nft itself can read: load it into a namespace and list it (`nft.rehearse`).
Raises: `ReadError` for a text in none of these forms.
"""

from __future__ import annotations

from gatepost.firewall.iptables_reader import read_save
from gatepost.firewall.iptables_script import looks_like_script, read_script
from gatepost.firewall.nft_reader import ReadError, read_nft
from gatepost.firewall.ruleset import Ruleset


def kind_of(text: str) -> str:
    """Which form a text has: nft-json, iptables-save, script, or nft."""
    stripped = text.lstrip()
    if stripped.startswith("{") and '"nftables"' in stripped[:200]:
        return "nft-json"
    if any(line.startswith("*") for line in stripped.splitlines()) and "COMMIT" in text:
        return "iptables-save"
    if looks_like_script(text):
        return "script"
    return "nft" if "table" in text and "chain" in text else ""


def read_ruleset(text: str) -> Ruleset:
    """The rule set in a text of any form that can be read without a kernel."""
    match kind_of(text):
        case "nft-json":
            return read_nft(text)
        case "iptables-save":
            return read_save(text)
        case "script":
            script = read_script(text)
            return merged(script.rules4, script.rules6)
        case "nft":
            raise ReadError("this is text for nft -f; give the output of nft -j list ruleset, or use firewall explain, which asks nft")
        case _:
            raise ReadError("this is no rule set: neither nft -j list ruleset, nor iptables-save, nor a script with iptables commands")


def merged(one: Ruleset, other: Ruleset) -> Ruleset:
    """Two rule sets of one host, such as those of iptables and ip6tables."""
    return Ruleset(one.chains | other.chains, one.refusals + other.refusals, one.notes + other.notes)
